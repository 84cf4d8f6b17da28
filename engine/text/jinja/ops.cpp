// Python's operations on template values, first half: truth, text, comparison, iteration. See ops.h.
#include "engine/text/jinja/ops.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

std::string type_name(const Value& value) {
  switch (value.type) {
    case Type::undefined:
      return "undefined";
    case Type::none:
      return "None";
    case Type::boolean:
      return "bool";
    case Type::integer:
      return "int";
    case Type::real:
      return "float";
    case Type::string:
      return "str";
    case Type::dict:
      return "dict";
    case Type::name_space:
      return "namespace";
    case Type::callable:
      return "function";
    case Type::sequence:
      break;
  }
  switch (value.sequence().kind) {
    case Sequence::Kind::list:
      return "list";
    case Sequence::Kind::tuple:
      return "tuple";
    case Sequence::Kind::range:
      return "range";
    case Sequence::Kind::view:
      return "dict view";
    case Sequence::Kind::generator:
      break;
  }
  return "generator";
}

bool truthy(const Value& value) {
  switch (value.type) {
    case Type::undefined:
    case Type::none:
      return false;
    case Type::boolean:
      return value.boolean;
    case Type::integer:
      return value.integer != 0;
    case Type::real:
      return value.real != 0;
    case Type::string:
      return value.text().size() != 0;
    case Type::sequence:
      return value.sequence().kind == Sequence::Kind::generator || !value.sequence().items.empty();
    case Type::dict:
      return !value.dict().entries.empty();
    case Type::name_space:
    case Type::callable:
      return true;
  }
  return true;
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed_end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, fixed_end);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

namespace {

void append_repr(Runtime& runtime, Text& out, const Value& value);

void append_string_repr(Text& out, const Text& text) {
  const String& bytes = text.bytes();
  const bool has_single = bytes.find('\'') != std::string::npos;
  const char quote = has_single && bytes.find('"') == std::string::npos ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    String piece = bytes.substr(i, c.length);
    char escaped[16];
    if (c.code == quote || c.code == '\\') {
      piece.insert(piece.begin(), '\\');
    } else if (c.code == '\n' || c.code == '\r' || c.code == '\t') {
      piece = c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t";
    } else if (c.code >= 0 && !is_printable(c.code)) {
      const char* format = c.code < 0x100 ? "\\x%02x" : c.code < 0x10000 ? "\\u%04x" : "\\U%08x";
      std::snprintf(escaped, sizeof escaped, format, static_cast<unsigned>(c.code));
      piece = escaped;
    }
    out.append(piece, text.has_user(i, i + c.length));
    i += c.length;
  }
  out.append(std::string_view(&quote, 1));
}

void append_dict_repr(Runtime& runtime, Text& out, const Dict& dict) {
  out.append("{");
  bool first = true;
  for (const auto& [key, entry] : dict.entries) {
    if (!first) out.append(", ");
    first = false;
    append_repr(runtime, out, key);
    out.append(": ");
    append_repr(runtime, out, entry);
  }
  out.append("}");
}

void append_sequence_repr(Runtime& runtime, Text& out, const Sequence& sequence) {
  const bool tuple = sequence.kind == Sequence::Kind::tuple;
  if (sequence.kind == Sequence::Kind::generator) runtime.fail("a generator has no text; |list makes a list of it");
  if (sequence.kind == Sequence::Kind::range || sequence.kind == Sequence::Kind::view) {
    runtime.fail_unsupported("printing a range or a view of a dict without |list");
  }
  out.append(tuple ? "(" : "[");
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(runtime, out, sequence.items[i]);
  }
  out.append(tuple ? (sequence.items.size() == 1 ? ",)" : ")") : "]");
}

void append_repr(Runtime& runtime, Text& out, const Value& value) {
  const Nesting nesting(runtime);
  runtime.charge({&value});
  switch (value.type) {
    case Type::undefined:
      out.append("Undefined");
      break;
    case Type::none:
      out.append("None");
      break;
    case Type::boolean:
      out.append(value.boolean ? "True" : "False");
      break;
    case Type::integer:
      out.append(std::to_string(value.integer), value.from_user);
      break;
    case Type::real:
      out.append(real_text(value.real), value.from_user);
      break;
    case Type::string:
      if (value.string().markup) out.append("Markup(");
      append_string_repr(out, value.text());
      if (value.string().markup) out.append(")");
      break;
    case Type::sequence:
      append_sequence_repr(runtime, out, value.sequence());
      break;
    case Type::dict:
      append_dict_repr(runtime, out, value.dict());
      break;
    case Type::name_space:
      out.append("<Namespace ");
      append_dict_repr(runtime, out, value.dict());
      out.append(">");
      break;
    case Type::callable:
      runtime.fail_unsupported("printing a function");
  }
}

bool equal_items(Runtime& runtime, const Vector<Value>& a, const Vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(runtime, a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = find_entry(runtime, b, key);
    if (other == nullptr || !equal(runtime, value, *other)) return false;
  }
  return true;
}

}  // namespace

Text repr(Runtime& runtime, const Value& value) {
  Text out;
  append_repr(runtime, out, value);
  return out;
}

Text to_text(Runtime& runtime, const Value& value) {
  if (value.is(Type::string)) return value.text();
  if (value.is(Type::undefined)) return {};
  return repr(runtime, value);
}

Value to_string(Runtime& runtime, const Value& value) {
  return value.is(Type::string) ? value : runtime.make_string(to_text(runtime, value));
}

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.work(sizeof(Value));
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return a.as_real() == b.as_real();
  }
  if (a.type != b.type) return false;
  if (a.is(Type::undefined) || a.is(Type::none)) return true;
  if (a.object == b.object) return true;
  switch (a.type) {
    case Type::string:
      if (a.text().size() != b.text().size()) return false;
      runtime.charge({&a, &b});
      return a.bytes() == b.bytes();
    case Type::sequence: {
      const Nesting nesting(runtime);
      const auto kind = a.sequence().kind;
      const bool comparable = kind != Sequence::Kind::generator && kind != Sequence::Kind::view;
      return comparable && kind == b.sequence().kind && equal_items(runtime, a.sequence().items, b.sequence().items);
    }
    case Type::dict: {
      const Nesting nesting(runtime);
      return equal_dicts(runtime, a.dict(), b.dict());
    }
    default:
      return false;
  }
}

bool less(Runtime& runtime, const Value& a, const Value& b) {
  const Nesting nesting(runtime);
  runtime.work(sizeof(Value));
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() < b.as_integer();
    return a.as_real() < b.as_real();
  }
  if (a.is(Type::string) && b.is(Type::string)) {
    runtime.charge({&a, &b});
    return a.bytes() < b.bytes();
  }
  if (a.is(Type::sequence) && b.is(Type::sequence) && a.sequence().kind == b.sequence().kind &&
      (a.sequence().kind == Sequence::Kind::list || a.sequence().kind == Sequence::Kind::tuple)) {
    const auto& x = a.sequence().items;
    const auto& y = b.sequence().items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(runtime, x[i], y[i])) return less(runtime, x[i], y[i]);
    }
    return x.size() < y.size();
  }
  runtime.fail("values of type " + type_name(a) + " and " + type_name(b) + " cannot be ordered");
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  runtime.charge({&container, &item});
  if (container.is(Type::string)) {
    if (!item.is(Type::string)) runtime.fail("'in <string>' needs a string on its left, found " + type_name(item));
    return find_text(container.bytes(), item.bytes()) != std::string::npos;
  }
  if (container.is(Type::dict)) return find_entry(runtime, container.dict(), item) != nullptr;
  for (const Value& other : items_of(runtime, container)) {
    if (equal(runtime, other, item)) return true;
  }
  return false;
}

const Value* find_entry(Runtime& runtime, const Dict& dict, const Value& key) {
  for (const auto& [other, value] : dict.entries) {
    if (equal(runtime, other, key)) return &value;
  }
  return nullptr;
}

const Value* find_entry(Runtime& runtime, const Dict& dict, std::string_view key) {
  for (const auto& [other, value] : dict.entries) {
    runtime.work(sizeof(Value));
    if (!other.is(Type::string) || other.text().size() != key.size()) continue;
    runtime.work(key.size());
    if (other.bytes() == key) return &value;
  }
  return nullptr;
}

void set_entry(Runtime& runtime, Dict& dict, const Value& key, const Value& value) {
  if (const Value* old = find_entry(runtime, dict, key)) {
    *const_cast<Value*>(old) = value;
    return;
  }
  const bool mutable_sequence = key.is(Type::sequence) && key.sequence().kind == Sequence::Kind::list;
  if (mutable_sequence || key.is(Type::dict)) runtime.fail("a " + type_name(key) + " cannot be the key of a dict");
  dict.entries.emplace_back(key, value);
}

bool is_iterable(const Value& value) {
  return value.is(Type::undefined) || value.is(Type::string) || value.is(Type::sequence) || value.is(Type::dict);
}

Vector<Value> items_of(Runtime& runtime, const Value& value) {
  Vector<Value> items;
  switch (value.type) {
    case Type::undefined:
      return items;
    case Type::sequence: {
      Sequence& sequence = value.sequence();
      if (sequence.kind != Sequence::Kind::generator) return sequence.items;
      items.swap(sequence.items);
      return items;
    }
    case Type::dict:
      items.reserve(value.dict().entries.size());
      for (const auto& entry : value.dict().entries) items.push_back(entry.first);
      return items;
    case Type::string: {
      const String& bytes = value.bytes();
      for (size_t i = 0; i < bytes.size();) {
        const size_t next = i + char_at(bytes, i).length;
        items.push_back(runtime.make_string(value.text().slice(i, next)));
        i = next;
      }
      return items;
    }
    default:
      runtime.fail("a value of type " + type_name(value) + " cannot be iterated");
  }
}

int64_t length_of(Runtime& runtime, const Value& value) {
  if (value.is(Type::undefined)) return 0;
  if (value.is(Type::string)) return static_cast<int64_t>(value.string().n_chars);
  if (value.is(Type::dict)) return static_cast<int64_t>(value.dict().entries.size());
  if (value.is(Type::sequence) && value.sequence().kind != Sequence::Kind::generator) {
    return static_cast<int64_t>(value.sequence().items.size());
  }
  runtime.fail("a value of type " + type_name(value) + " has no length");
}

Text escape(Runtime& runtime, const Value& value) {
  const Text text = to_text(runtime, value);
  if (value.is(Type::string) && value.string().markup) return text;
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view piece = std::string_view(text.bytes()).substr(i, 1);
    const bool from_user = text.has_user(i, i + 1);
    switch (piece[0]) {
      case '&':
        out.append("&amp;", from_user);
        break;
      case '<':
        out.append("&lt;", from_user);
        break;
      case '>':
        out.append("&gt;", from_user);
        break;
      case '\'':
        out.append("&#39;", from_user);
        break;
      case '"':
        out.append("&#34;", from_user);
        break;
      default:
        out.append(piece, from_user);
    }
  }
  return out;
}

}  // namespace headroom::jinja
