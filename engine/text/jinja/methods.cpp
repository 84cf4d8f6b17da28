// Python's methods of strings, dicts, lists and tuples, for templates. See builtins.h.
#include <algorithm>
#include <array>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

Value list_of_texts(Runtime& runtime, const Value& receiver, Vector<Text> parts) {
  Vector<Value> items;
  items.reserve(parts.size());
  for (Text& part : parts) items.push_back(make_string_like(runtime, receiver, std::move(part)));
  return runtime.make_list(std::move(items));
}

template <Side side>
Value strip_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "strip", {"chars"});
  const Text* chars = bound.get_text(0);
  return make_string_like(runtime, self, strip(self.text(), side, chars == nullptr ? nullptr : &chars->bytes()));
}

template <bool from_right>
Value split_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "split", {"sep", "maxsplit"});
  const Text* separator = bound.get_text(0);
  if (separator != nullptr && separator->size() == 0) runtime.fail("split got an empty separator");
  const int64_t max_splits = bound.get_integer(1, -1);
  const String* bytes = separator == nullptr ? nullptr : &separator->bytes();
  if (from_right) return list_of_texts(runtime, self, split_from_right(self.text(), bytes, max_splits));
  return list_of_texts(runtime, self, split(self.text(), bytes, max_splits));
}

Value splitlines_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "splitlines", {"keepends"});
  const bool keep_ends = bound.get_flag(0, false);
  Vector<Value> items;
  for (const Line& line : split_lines(self.bytes())) {
    items.push_back(make_string_like(runtime, self, self.text().slice(line.begin, keep_ends ? line.next : line.end)));
  }
  return runtime.make_list(std::move(items));
}

template <bool at_start>
Value affix_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, at_start ? "startswith" : "endswith", {"prefix", "start", "end"}, 1);
  Value subject = self;
  if (bound.has(1) || bound.has(2)) subject = get_slice(runtime, self, bound.get(1), bound.get(2), Value::none());
  const Value wanted = bound.get(0);
  Vector<Value> candidates = {wanted};
  if (wanted.is(Type::sequence) && wanted.sequence().kind == Sequence::Kind::tuple) {
    candidates = items_of(runtime, wanted);
  }
  for (const Value& candidate : candidates) {
    if (!candidate.is(Type::string)) {
      runtime.fail("startswith and endswith take a string or a tuple of strings, found " + type_name(candidate));
    }
    const String& bytes = subject.bytes();
    const String& affix = candidate.bytes();
    if (affix.size() > bytes.size()) continue;
    if (bytes.compare(at_start ? 0 : bytes.size() - affix.size(), affix.size(), affix) == 0) return Value::of(true);
  }
  return Value::of(false);
}

template <bool prefix>
Value remove_affix_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, prefix ? "removeprefix" : "removesuffix", {"affix"}, 1);
  const Text* affix = bound.get_text(0);
  if (affix == nullptr || affix->size() == 0 || affix->size() > self.text().size()) return self;
  const size_t rest = self.text().size() - affix->size();
  if (self.bytes().compare(prefix ? 0 : rest, affix->size(), affix->bytes()) != 0) return self;
  return make_string_like(runtime, self,
                          prefix ? self.text().slice(affix->size(), self.text().size()) : self.text().slice(0, rest));
}

template <LetterCase letter_case>
Value case_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "upper", {});
  return make_string_like(runtime, self, change_case(self.text(), letter_case));
}

Value replace_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "replace", {"old", "new", "count"}, 2);
  const Text* old_text = bound.get_text(0);
  const Text* new_text = bound.get_text(1);
  if (old_text == nullptr || new_text == nullptr) runtime.fail("replace takes two strings");
  const int64_t max_count = bound.get_integer(2, -1);
  return make_string_like(runtime, self, replace(self.text(), old_text->bytes(), *new_text, max_count));
}

/// find, rfind, index, rindex. Positions are in characters, not bytes.
template <bool from_right, bool must_find>
Value find_method_of(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "find", {"sub", "start", "end"}, 1);
  const Text* wanted = bound.get_text(0);
  if (wanted == nullptr) runtime.fail("find takes a string");
  Value subject = self;
  int64_t offset = 0;
  const auto n_chars = static_cast<int64_t>(self.string().n_chars);
  if (bound.has(1) || bound.has(2)) {
    offset = bound.get_integer(1, 0);
    if (offset < 0) offset = std::max<int64_t>(0, offset + n_chars);
    subject = get_slice(runtime, self, Value::of(offset), bound.get(2), Value::none());
  }
  size_t at = std::string::npos;
  if (from_right) {
    at = find_text_from_right(subject.bytes(), wanted->bytes());
  } else {
    at = find_text(subject.bytes(), wanted->bytes());
  }
  if (at == std::string::npos || offset > n_chars) {
    if (must_find) runtime.fail("index did not find the string");
    return Value::of(int64_t{-1});
  }
  return Value::of(offset + static_cast<int64_t>(count_chars(std::string_view(subject.bytes()).substr(0, at))));
}

Value count_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "count", {"sub"}, 1);
  const Text* wanted = bound.get_text(0);
  if (wanted == nullptr) runtime.fail("count takes a string");
  return Value::of(static_cast<int64_t>(count_text(self.bytes(), wanted->bytes())));
}

Value join_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "join", {"iterable"}, 1);
  Text out;
  bool first = true;
  for (const Value& item : items_of(runtime, bound.get(0))) {
    if (!item.is(Type::string)) runtime.fail("join takes strings, found " + type_name(item));
    if (!first) out.append(self.text());
    first = false;
    out.append(item.text());
  }
  return make_string_like(runtime, self, std::move(out));
}

Value format_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  return format_braces(runtime, self, args);
}

Value format_map_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "format_map", {"mapping"}, 1);
  if (!bound.get(0).is(Type::dict)) runtime.fail("format_map takes a dict, found " + type_name(bound.get(0)));
  CallArgs named;
  for (const auto& entry : bound.get(0).dict().entries) {
    if (entry.first.is(Type::string)) named.named.push_back(entry);
  }
  return format_braces(runtime, self, named);
}

enum class Part { items, keys, values };

template <Part part>
Value entries_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "items", {});
  Vector<Value> items;
  for (const auto& [key, value] : self.dict().entries) {
    items.push_back(part == Part::items ? pair_of(runtime, key, value) : part == Part::keys ? key : value);
  }
  return runtime.make_sequence(Sequence::Kind::view, std::move(items));
}

Value get_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "get", {"key", "default"}, 1);
  const Value* entry = find_entry(runtime, self.dict(), bound.get(0));
  return entry != nullptr ? *entry : bound.get(1);
}

Value copy_method(Runtime&, const Value& self, const CallArgs&) {
  return self;
}

Value list_index_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "index", {"value"}, 1);
  const auto& items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(runtime, items[i], bound.get(0))) return Value::of(static_cast<int64_t>(i));
  }
  runtime.fail("index did not find the value in the list");
}

Value list_count_method(Runtime& runtime, const Value& self, const CallArgs& args) {
  const Bound bound(runtime, args, "count", {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : self.sequence().items) count += equal(runtime, item, bound.get(0)) ? 1 : 0;
  return Value::of(count);
}

constexpr FilterEntry string_methods[] = {
    {"strip", strip_method<Side::both>},
    {"lstrip", strip_method<Side::left>},
    {"rstrip", strip_method<Side::right>},
    {"split", split_method<false>},
    {"rsplit", split_method<true>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<true>},
    {"endswith", affix_method<false>},
    {"removeprefix", remove_affix_method<true>},
    {"removesuffix", remove_affix_method<false>},
    {"upper", case_method<LetterCase::upper>},
    {"lower", case_method<LetterCase::lower>},
    {"title", case_method<LetterCase::title>},
    {"capitalize", case_method<LetterCase::capitalize>},
    {"swapcase", case_method<LetterCase::swap>},
    {"casefold", case_method<LetterCase::casefold>},
    {"replace", replace_method},
    {"find", find_method_of<false, false>},
    {"rfind", find_method_of<true, false>},
    {"index", find_method_of<false, true>},
    {"rindex", find_method_of<true, true>},
    {"count", count_method},
    {"join", join_method},
    {"format", format_method},
    {"format_map", format_map_method},
};

constexpr FilterEntry dict_methods[] = {
    {"items", entries_method<Part::items>},
    {"keys", entries_method<Part::keys>},
    {"values", entries_method<Part::values>},
    {"get", get_method},
    {"copy", copy_method},
};

constexpr FilterEntry list_methods[] = {
    {"index", list_index_method},
    {"count", list_count_method},
    {"copy", copy_method},
};

/// Unsupported methods: encode returns bytes, which no template can output; the others need a table of characters.
constexpr std::string_view other_string_methods[] = {"encode", "maketrans", "translate"};

/// Unsupported methods: transformers' sandbox does not allow templates to change their values.
constexpr std::string_view changing_dict_methods[] = {"pop", "popitem", "update", "setdefault", "clear"};
constexpr std::string_view changing_list_methods[] = {"append", "pop",  "extend",  "insert",
                                                      "remove", "sort", "reverse", "clear"};

template <size_t n>
std::optional<Value> find_in(Runtime& runtime, const FilterEntry (&table)[n], const Value& object,
                             std::string_view name) {
  for (const FilterEntry& entry : table) {
    if (entry.name == name) return Value(runtime.make<BuiltinFunction>(entry.function, object));
  }
  return std::nullopt;
}

/// Searches a table whose last entry has an empty name.
std::optional<Value> find_in_open_table(Runtime& runtime, const FilterEntry* table, const Value& object,
                                        std::string_view name) {
  for (; !table->name.empty(); ++table) {
    if (table->name == name) return Value(runtime.make<BuiltinFunction>(table->function, object));
  }
  return std::nullopt;
}

template <size_t n>
bool has_name(const std::string_view (&names)[n], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

std::optional<Value> find_method(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is(Type::string)) {
    if (has_name(other_string_methods, name)) runtime.fail_unsupported("the string method '" + std::string(name) + "'");
    if (const auto found = find_in(runtime, string_methods, object, name)) return found;
    return find_in_open_table(runtime, &more_string_methods[0], object, name);
  }
  if (object.is(Type::dict)) {
    if (has_name(changing_dict_methods, name)) {
      runtime.fail("a template may not change a dict (method '" + std::string(name) + "')");
    }
    return find_in(runtime, dict_methods, object, name);
  }
  if (object.is(Type::sequence)) {
    const auto kind = object.sequence().kind;
    if (kind == Sequence::Kind::list && has_name(changing_list_methods, name)) {
      runtime.fail("a template may not change a list (method '" + std::string(name) + "')");
    }
    if (kind == Sequence::Kind::list || kind == Sequence::Kind::tuple) {
      return find_in(runtime, list_methods, object, name);
    }
  }
  return std::nullopt;
}

}  // namespace headroom::jinja
