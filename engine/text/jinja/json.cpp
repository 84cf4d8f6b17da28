// Values ─► JSON as Python's json.dumps writes it: the tojson filter as transformers defines it. A user's characters
// and their escapes stay marked as the user's; the quotes around them are not.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

struct JsonOptions {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool pretty = false;
  Text indent;
  Text item_separator;
  Text key_separator;
};

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonOptions& options) : runtime_(runtime), options_(options) {}

  void write(const Value& value) {
    const Nesting nesting(runtime_);
    runtime_.charge({&value});
    switch (value.type) {
      case Type::none:
        out_.append("null");
        break;
      case Type::boolean:
        out_.append(value.boolean ? "true" : "false");
        break;
      case Type::integer:
        out_.append(std::to_string(value.integer), value.from_user);
        break;
      case Type::real:
        out_.append(real(value.real), value.from_user);
        break;
      case Type::string:
        write_string(value.text());
        break;
      case Type::dict:
        write_dict(value.dict());
        break;
      case Type::sequence:
        if (value.sequence().kind == Sequence::Kind::list || value.sequence().kind == Sequence::Kind::tuple) {
          write_list(value.sequence());
          break;
        }
        [[fallthrough]];
      default:
        runtime_.fail("a value of type " + type_name(value) + " cannot be written as JSON");
    }
  }
  Text take() { return std::move(out_); }

 private:
  static std::string real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return real_text(value);
  }

  void write_string(const Text& text) {
    const String& bytes = text.bytes();
    out_.append("\"");
    for (size_t i = 0; i < bytes.size();) {
      const Char c = char_at(bytes, i);
      out_.append(escaped(bytes.substr(i, c.length), c.code), text.has_user(i, i + c.length));
      i += c.length;
    }
    out_.append("\"");
  }

  String escaped(String piece, int32_t code) const {
    switch (code) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        break;
    }
    if (code >= 0x20 && (code < 0x7f || !options_.ensure_ascii)) return piece;
    if (code < 0) return piece;  // invalid UTF-8 is copied byte for byte
    char buffer[16];
    if (code >= 0x10000) {
      const auto rest = static_cast<unsigned>(code - 0x10000);
      std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else if (code == 0x7f) {
      return piece;
    } else {
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(code));
    }
    return buffer;
  }

  void new_line() {
    if (!options_.pretty) return;
    out_.append("\n");
    for (int i = 0; i < level_; ++i) out_.append(options_.indent);
  }

  void write_list(const Sequence& list) {
    out_.append("[");
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_.append(options_.item_separator);
      new_line();
      write(list.items[i]);
    }
    --level_;
    if (!list.items.empty()) new_line();
    out_.append("]");
  }

  void write_dict(const Dict& dict) {
    Vector<std::pair<Value, Value>> entries = dict.entries;
    if (options_.sort_keys) {
      merge_sort(entries, [this](const auto& a, const auto& b) { return less(runtime_, a.first, b.first); });
    }
    out_.append("{");
    ++level_;
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!first) out_.append(options_.item_separator);
      first = false;
      new_line();
      write_key(key);
      out_.append(options_.key_separator);
      write(value);
    }
    --level_;
    if (!entries.empty()) new_line();
    out_.append("}");
  }

  void write_key(const Value& key) {
    if (key.is(Type::string)) return write_string(key.text());
    if (!key.is_number() && !key.is(Type::none)) {
      runtime_.fail("a value of type " + type_name(key) + " cannot be the key of a JSON object");
    }
    out_.append("\"");
    write(key);
    out_.append("\"");
  }

  Runtime& runtime_;
  const JsonOptions& options_;
  Text out_;
  int level_ = 0;
};

}  // namespace

Value filter_tojson(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonOptions options;
  options.ensure_ascii = bound.get_flag(0, false);
  options.sort_keys = bound.get_flag(3, false);
  const Value indent = bound.get(1);
  options.pretty = !indent.is(Type::none);
  if (indent.is(Type::string)) {
    options.indent = indent.text();
  } else if (options.pretty) {
    const int64_t width = bound.get_integer(1, 0);
    if (width > 1'000) runtime.fail("tojson's indent is more than 1000");
    options.indent = Text(std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' '), indent.from_user);
  }
  options.item_separator = Text(options.pretty ? "," : ", ");
  options.key_separator = Text(": ");
  const Value separators = bound.get(2);
  if (!separators.is(Type::none)) {
    const Vector<Value> pair = items_of(runtime, separators);
    if (pair.size() != 2 || !pair[0].is(Type::string) || !pair[1].is(Type::string)) {
      runtime.fail("tojson's separators are not two strings");
    }
    options.item_separator = pair[0].text();
    options.key_separator = pair[1].text();
  }
  JsonWriter writer(runtime, options);
  writer.write(value);
  return runtime.make_string(writer.take());
}

}  // namespace headroom::jinja
