// Filters that prepare text for a page, among them wordcount, truncate, center, urlencode, striptags and pprint. See
// builtins.h.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

namespace {

/// Counts runs of letters, digits and underscores, as \w+ matches them.
Value filter_wordcount(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "wordcount", {});
  const Value text = to_string(runtime, value);
  const String& bytes = text.bytes();
  int64_t count = 0;
  bool in_word = false;
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    const bool is_part = c.code == '_' || (c.code >= 0 && is_alphanumeric(c.code));
    if (is_part && !in_word) ++count;
    in_word = is_part;
    i += c.length;
  }
  return Value::of(count);
}

Value filter_truncate(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "truncate", {"length", "killwords", "end", "leeway"});
  const int64_t length = bound.get_integer(0, 255);
  const int64_t leeway = bound.get_integer(3, 5);
  const Value end = bound.has(2) ? bound.get(2) : runtime.make_string("...");
  if (!value.is(Type::string) || !end.is(Type::string))
    runtime.fail("truncate takes a string and a string for its end");
  const auto n_end = static_cast<int64_t>(end.string().n_chars);
  if (length < n_end) {
    runtime.fail("truncate's length is " + std::to_string(length) + ", expected at least " + std::to_string(n_end));
  }
  if (leeway < 0) runtime.fail("truncate's leeway is below zero");
  if (static_cast<int64_t>(value.string().n_chars) - leeway <= length) return value;
  const Value cut = get_slice(runtime, value, Value::none(), Value::of(length - n_end), Value::none());
  Text out = cut.text();
  if (!bound.get_flag(1, false)) {
    const size_t blank = out.bytes().rfind(' ');
    if (blank != std::string::npos) out = out.slice(0, blank);
  }
  out.append(end.text());
  return make_string_like(runtime, value, std::move(out));
}

Value filter_center(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "center", {"width"});
  const Value text = to_string(runtime, value);
  const Text fill(" ", bound.has(0) && bound.get(0).from_user);
  return make_string_like(runtime, text, centered(runtime, text, bound.get_integer(0, 80), fill));
}

Value filter_forceescape(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "forceescape", {});
  return runtime.make_string(escape(runtime, runtime.make_string(to_text(runtime, value))), true);
}

/// urllib.parse.quote: all bytes except letters, digits, _ . - ~ become %XX. A path also keeps /; in a query a
/// space becomes +.
void append_quoted(Text& out, const Text& text, bool in_query) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  const String& bytes = text.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    charge_work(16);
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const bool letter = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
    const bool plain = letter || byte == '_' || byte == '.' || byte == '-' || byte == '~' || (byte == '/' && !in_query);
    if (plain) {
      out.append(text, i, i + 1);
    } else if (byte == ' ' && in_query) {
      out.append("+", text.has_user(i, i + 1));
    } else {
      const char escaped[3] = {'%', hex[byte >> 4], hex[byte & 15]};
      out.append(std::string_view(escaped, 3), text.has_user(i, i + 1));
    }
  }
}

Value filter_urlencode(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "urlencode", {});
  Text out;
  if (value.is(Type::string) || !is_iterable(value) || value.is(Type::undefined)) {
    append_quoted(out, to_text(runtime, value), false);
    return runtime.make_string(std::move(out));
  }
  Vector<Value> pairs;
  if (value.is(Type::dict)) {
    for (const auto& [key, entry] : value.dict().entries) pairs.push_back(pair_of(runtime, key, entry));
  } else {
    pairs = items_of(runtime, value);
  }
  bool first = true;
  for (const Value& item : pairs) {
    const Vector<Value> pair = items_of(runtime, item);
    if (pair.size() != 2) runtime.fail("urlencode takes a string, a dict, or pairs of a key and a value");
    if (!first) out.append("&");
    first = false;
    append_quoted(out, to_text(runtime, pair[0]), true);
    out.append("=");
    append_quoted(out, to_text(runtime, pair[1]), true);
  }
  return runtime.make_string(std::move(out));
}

/// The text without everything from each `open` to the next `close`.
Text without(const Text& text, std::string_view open, std::string_view close) {
  const String& bytes = text.bytes();
  Text out;
  size_t begin = 0;
  while (true) {
    const size_t from = find_text(bytes, open, begin);
    const size_t to = from == std::string::npos ? from : find_text(bytes, close, from + open.size());
    if (to == std::string::npos) break;
    out.append(text, begin, from);
    begin = to + close.size();
  }
  out.append(text, begin, bytes.size());
  return out;
}

/// The character of an entity, as UTF-8; empty if its number is malformed. HTML has two thousand named entities;
/// only those that escape() writes and a few more are supported, others fail.
std::string entity_text(Runtime& runtime, std::string_view name) {
  std::string out;
  if (name[0] == '#') {
    const bool hex = name.size() > 1 && (name[1] | 0x20) == 'x';
    const std::string_view digits = name.substr(hex ? 2 : 1);
    uint32_t code = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
    if (digits.empty() || result.ptr != digits.data() + digits.size()) return out;
    const bool plain = result.ec == std::errc() && code >= 0x20 && !(code >= 0x7f && code < 0xa0) &&
                       !(code >= 0xd800 && code < 0xe000) && code <= 0x10ffff;
    if (!plain) runtime.fail_unsupported("the entity '&" + shown(name) + ";'");
    append_utf8(out, static_cast<int32_t>(code));
    return out;
  }
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> known = {
      {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", "\xc2\xa0"}, {"copy", "©"}}};
  for (const auto& [key, text] : known) {
    if (key == name) return std::string(text);
  }
  runtime.fail_unsupported("the entity '&" + shown(name) + ";'");
}

Text unescaped(Runtime& runtime, const Text& text) {
  const String& bytes = text.bytes();
  Text out;
  for (size_t i = 0; i < bytes.size();) {
    const size_t at = std::min(bytes.find('&', i), bytes.size());
    out.append(text, i, at);
    i = at;
    if (at == bytes.size()) break;
    const size_t end =
        bytes.find_first_not_of("#0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", at + 1);
    charge_work(64 + std::min(end, bytes.size()) - at);
    i = at + 1;
    const bool whole = end != std::string::npos && end > at + 1 && end - at < 32 && bytes[end] == ';';
    const std::string piece =
        whole ? entity_text(runtime, std::string_view(bytes).substr(at + 1, end - at - 1)) : std::string();
    if (piece.empty()) {
      out.append(text, at, at + 1);
    } else {
      out.append(piece, text.has_user(at, end + 1));
      i = end + 1;
    }
  }
  return out;
}

/// Markup.striptags: removes comments and tags, joins white space, and replaces entities by characters.
Value filter_striptags(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "striptags", {});
  const Text plain = without(without(to_text(runtime, value), "<!--", "-->"), "<", ">");
  Text joined;
  for (const Text& word : split(plain, nullptr, -1)) {
    // A blank between two words of a user is marked as the user's.
    const size_t n = joined.size();
    if (n > 0) joined.append(" ", joined.has_user(n - 1, n) && word.has_user(0, 1));
    joined.append(word);
  }
  return runtime.make_string(unescaped(runtime, joined));
}

/// pprint.pformat: like repr if it fits into 80 columns, else one item per line. Dicts are sorted by key.
class Printer {
 public:
  explicit Printer(Runtime& runtime) : runtime_(runtime) {}

  Text print(const Value& value) {
    Text out;
    write(out, value, 0, 0, 1);
    return out;
  }

 private:
  static constexpr int64_t columns = 80;

  Value sorted(const Value& value) {
    const Nesting nesting(runtime_);
    if (value.is(Type::dict)) {
      Dict* dict = runtime_.make<Dict>();
      for (const auto& [key, entry] : value.dict().entries) dict->entries.emplace_back(key, sorted(entry));
      merge_sort(dict->entries, [this](const auto& a, const auto& b) { return less(runtime_, a.first, b.first); });
      return Value(dict);
    }
    if (!value.is(Type::sequence)) return value;
    Vector<Value> items;
    for (const Value& item : value.sequence().items) items.push_back(sorted(item));
    return runtime_.make_sequence(value.sequence().kind, std::move(items));
  }

  static void new_line(Text& out, int64_t indent) { out.append("\n" + std::string(static_cast<size_t>(indent), ' ')); }

  Text repr_of(const Text& text) { return repr(runtime_, runtime_.make_string(text)); }
  static int64_t width_of(const Text& text) { return static_cast<int64_t>(count_chars(text.bytes())); }

  /// Writes a long string as adjacent literals: one per line of the string, or one for as many words as fit.
  void write_string(Text& out, const Text& text, int64_t indent, int64_t allowance, int level) {
    if (level == 1) ++indent, ++allowance;
    Vector<Text> chunks;
    const Vector<Line> lines = split_lines(text.bytes());
    for (size_t i = 0; i < lines.size(); ++i) {
      const Text line = text.slice(lines[i].begin, lines[i].next);
      const int64_t last_line = i + 1 == lines.size() ? allowance : 0;
      Text whole = repr_of(line);
      if (width_of(whole) <= columns - indent - last_line) {
        chunks.push_back(std::move(whole));
        continue;
      }
      Text current;
      for (size_t begin = 0; begin < line.size();) {
        const size_t end = skip_space(line.bytes(), skip_space(line.bytes(), begin, false), true);
        Text candidate = current;
        candidate.append(line, begin, end);
        const int64_t last_part = end == line.size() ? last_line : 0;
        if (width_of(repr_of(candidate)) > columns - indent - last_part) {
          if (current.size() > 0) chunks.push_back(repr_of(current));
          current = line.slice(begin, end);
        } else {
          current = std::move(candidate);
        }
        begin = end;
      }
      if (current.size() > 0) chunks.push_back(repr_of(current));
    }
    const bool bracketed = level == 1 && chunks.size() > 1;
    if (bracketed) out.append("(");
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) new_line(out, indent);
      out.append(chunks[i]);
    }
    if (bracketed) out.append(")");
  }

  void write(Text& out, const Value& value, int64_t indent, int64_t allowance, int level) {
    const Nesting nesting(runtime_);
    const Text flat = repr(runtime_, sorted(value));
    const bool fits = static_cast<int64_t>(count_chars(flat.bytes())) <= columns - indent - allowance;
    const bool list = value.is(Type::sequence) && !value.sequence().items.empty();
    if (fits || !(list || value.is(Type::dict))) {
      if (!fits && value.is(Type::string)) return write_string(out, value.text(), indent, allowance, level);
      return out.append(flat);
    }
    if (list) {
      const bool tuple = value.sequence().kind == Sequence::Kind::tuple;
      const auto& items = value.sequence().items;
      const std::string_view end = !tuple ? "]" : items.size() == 1 ? ",)" : ")";
      out.append(tuple ? "(" : "[");
      for (size_t i = 0; i < items.size(); ++i) {
        const bool last = i + 1 == items.size();
        if (i > 0) new_line(out, indent + 1);
        write(out, items[i], indent + 1, last ? allowance + static_cast<int64_t>(end.size()) : 1, level + 1);
        if (!last) out.append(",");
      }
      return out.append(end);
    }
    const Value ordered = sorted(value);
    out.append("{");
    for (size_t i = 0; i < ordered.dict().entries.size(); ++i) {
      const bool last = i + 1 == ordered.dict().entries.size();
      const auto& [key, entry] = ordered.dict().entries[i];
      if (i > 0) new_line(out, indent + 1);
      const Text name = repr(runtime_, key);
      out.append(name);
      out.append(": ");
      const auto width = static_cast<int64_t>(count_chars(name.bytes()));
      write(out, entry, indent + width + 3, last ? allowance + 1 : 1, level + 1);
      if (!last) out.append(",");
    }
    out.append("}");
  }

  Runtime& runtime_;
};

Value filter_pprint(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "pprint", {});
  return runtime.make_string(Printer(runtime).print(value));
}

}  // namespace

const FilterEntry page_filters[] = {
    {"wordcount", filter_wordcount},     {"truncate", filter_truncate},
    {"center", filter_center},           {"urlencode", filter_urlencode},
    {"forceescape", filter_forceescape}, {"striptags", filter_striptags},
    {"pprint", filter_pprint},           {"", nullptr},
};

}  // namespace headroom::jinja
