// Python's operations on values: truth, text, comparison, arithmetic, subscripts, iteration. Used by the evaluator and
// the built-in functions; knows no syntax.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/value.h"

namespace headroom::jinja {

/// Python's name of the type, for error messages: "str", "list", …
std::string type_name(const Value& value);

bool truthy(const Value& value);
/// str(value); empty for an undefined value.
Text to_text(Runtime& runtime, const Value& value);
/// Like to_text, but returns the value itself if it is a string.
Value to_string(Runtime& runtime, const Value& value);
/// repr(value).
Text repr(Runtime& runtime, const Value& value);
/// repr of a float: the shortest digits that parse to the same value.
std::string real_text(double value);

bool equal(Runtime& runtime, const Value& a, const Value& b);
/// a < b; fails for types that Python does not order.
bool less(Runtime& runtime, const Value& a, const Value& b);
/// item in container.
bool contains(Runtime& runtime, const Value& container, const Value& item);

enum class Arithmetic { add, subtract, multiply, divide, floor_divide, modulo, power };
Value arithmetic(Runtime& runtime, Arithmetic op, const Value& a, const Value& b);
Value negate(Runtime& runtime, const Value& value);

/// obj.name, obj[key] and obj[start:stop:step] as in Jinja's sandbox. The result is undefined if there is no such item;
/// a slice fails for a value that cannot be sliced.
Value get_attribute(Runtime& runtime, const Value& object, std::string_view name);
Value get_item(Runtime& runtime, const Value& object, const Value& key);
Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step);
/// The entry of a dict or a namespace, or nullptr.
const Value* find_entry(Runtime& runtime, const Dict& dict, const Value& key);
const Value* find_entry(Runtime& runtime, const Dict& dict, std::string_view key);
void set_entry(Runtime& runtime, Dict& dict, const Value& key, const Value& value);

/// True if the value has __iter__ (an undefined value has it).
bool is_iterable(const Value& value);
/// The items that a for loop would visit. A generator is consumed to its end.
Vector<Value> items_of(Runtime& runtime, const Value& value);
/// len(value).
int64_t length_of(Runtime& runtime, const Value& value);

/// A stable sort that is safe with an inconsistent order (a template can sort NaN).
template <class T, class Less>
void merge_sort(Vector<T>& items, const Less& is_less) {
  Vector<T> merged;
  merged.reserve(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    merged.clear();
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      for (size_t i = begin, j = middle; i < middle || j < end;) {
        const bool take_right = i == middle || (j < end && is_less(items[j], items[i]));
        merged.push_back(items[take_right ? j++ : i++]);
      }
    }
    items.swap(merged);
  }
}

/// Jinja's Markup.escape: & < > ' " become entities; markup is not changed.
Text escape(Runtime& runtime, const Value& value);

}  // namespace headroom::jinja
