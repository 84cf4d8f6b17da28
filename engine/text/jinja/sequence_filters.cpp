// Filters on lists and dicts. See builtins.h.
#include <algorithm>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

/// A path such as attribute="a.b.0": the items are looked up one after the other, like Jinja's make_attrgetter.
class AttributePath {
 public:
  AttributePath(Runtime& runtime, const Value& path) : runtime_(runtime) {
    if (path.is(Type::none)) return;
    if (path.is_integral()) {
      keys_.push_back(path);
      return;
    }
    if (!path.is(Type::string)) runtime.fail("an attribute is named by a string or a number, found " + type_name(path));
    if (path.bytes().find(',') != std::string::npos) runtime.fail_unsupported("more than one attribute in a filter");
    const String dot = ".";
    for (Text& part : split(path.text(), &dot, -1)) {
      const String& bytes = part.bytes();
      const bool number =
          !bytes.empty() && bytes.size() < 10 && bytes.find_first_not_of("0123456789") == std::string::npos;
      keys_.push_back(number ? Value::of(int64_t{std::stoi(std::string(bytes))})
                             : runtime.make_string(std::move(part)));
    }
  }
  /// missing: replaces an attribute that does not exist.
  Value of(Value value, const Value& missing) const {
    for (const Value& key : keys_) {
      runtime_.step();
      value = get_item(runtime_, value, key);
      if (value.is(Type::undefined) && !missing.is(Type::none)) value = missing;
    }
    return value;
  }
  Value of(Value value) const {
    runtime_.step();
    for (const Value& key : keys_) value = get_item(runtime_, value, key);
    return value;
  }

 private:
  Runtime& runtime_;
  Vector<Value> keys_;
};

/// The key that sort, unique, min and max compare: the attribute, in lower case for strings unless case_sensitive.
Value sort_key(Runtime& runtime, const AttributePath& path, const Value& item, bool case_sensitive) {
  const Value value = path.of(item);
  return case_sensitive || !value.is(Type::string) ? value : apply_filter(runtime, "lower", value, {});
}

Value filter_default(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "default", {"default_value", "boolean"});
  const bool missing = value.is(Type::undefined) || (bound.get_flag(1, false) && !truthy(value));
  if (!missing) return value;
  return bound.has(0) ? bound.get(0) : runtime.make_string("");
}

Value filter_length(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "length", {});
  return Value::of(length_of(runtime, value));
}

Value filter_first(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "first", {});
  if (value.is(Type::string)) return get_item(runtime, value, Value::of(int64_t{0}));
  if (value.is(Type::sequence) && value.sequence().kind == Sequence::Kind::generator) {
    auto& items = value.sequence().items;
    if (items.empty()) return runtime.make_undefined("the first item of nothing");
    const Value item = items.front();
    items.erase(items.begin());
    return item;
  }
  const Vector<Value> items = items_of(runtime, value);
  return items.empty() ? runtime.make_undefined("the first item of nothing") : items.front();
}

Value filter_last(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "last", {});
  if (value.is(Type::string)) return get_item(runtime, value, Value::of(int64_t{-1}));
  if (type_name(value) == "generator") runtime.fail("a generator has no last item; |list makes a list of it");
  const Vector<Value> items = items_of(runtime, value);
  return items.empty() ? runtime.make_undefined("the last item of nothing") : items.back();
}

Value filter_join(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "join", {"d", "attribute"});
  const AttributePath path(runtime, bound.get(1));
  const Text separator = bound.has(0) ? to_text(runtime, bound.get(0)) : Text();
  Text out;
  bool first = true;
  for (const Value& item : items_of(runtime, value)) {
    if (!first) out.append(separator);
    first = false;
    const Value part = to_string(runtime, path.of(item));
    out.append(part.text());
  }
  return runtime.make_string(std::move(out));
}

Value filter_list(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "list", {});
  return runtime.make_list(items_of(runtime, value));
}

Value filter_reverse(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "reverse", {});
  if (value.is(Type::string)) return runtime.make_string(reverse_chars(value.text()), value.string().markup);
  Vector<Value> items = items_of(runtime, value);
  std::reverse(items.begin(), items.end());
  return runtime.make_sequence(Sequence::Kind::generator, std::move(items));
}

Value filter_items(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "items", {});
  Vector<Value> items;
  if (!value.is(Type::undefined)) {
    if (!value.is(Type::dict)) runtime.fail("items takes a dict, found " + type_name(value));
    for (const auto& [key, entry] : value.dict().entries) items.push_back(pair_of(runtime, key, entry));
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(items));
}

struct Keyed {
  Value key;
  Value item;
};

void sort_keyed(Runtime& runtime, Vector<Keyed>& items, bool reverse) {
  merge_sort(items, [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(runtime, b.key, a.key) : less(runtime, a.key, b.key);
  });
}

Value list_of(Runtime& runtime, const Vector<Keyed>& keyed) {
  Vector<Value> items;
  for (const Keyed& k : keyed) items.push_back(k.item);
  return runtime.make_list(std::move(items));
}

Value filter_dictsort(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "dictsort", {"case_sensitive", "by", "reverse"});
  if (!value.is(Type::dict)) runtime.fail("dictsort takes a dict, found " + type_name(value));
  const Text* by = bound.get_text(1);
  const bool by_value = by != nullptr && by->bytes() == "value";
  if (by != nullptr && !by_value && by->bytes() != "key") {
    runtime.fail("dictsort sorts by 'key' or by 'value', found '" + shown(by->bytes()) + "'");
  }
  const AttributePath whole(runtime, Value::none());
  Vector<Keyed> keyed;
  for (const auto& [key, entry] : value.dict().entries) {
    keyed.push_back(
        {sort_key(runtime, whole, by_value ? entry : key, bound.get_flag(0, false)), pair_of(runtime, key, entry)});
  }
  sort_keyed(runtime, keyed, bound.get_flag(2, false));
  return list_of(runtime, keyed);
}

Value filter_sort(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "sort", {"reverse", "case_sensitive", "attribute"});
  const AttributePath path(runtime, bound.get(2));
  Vector<Keyed> keyed;
  for (const Value& item : items_of(runtime, value)) {
    keyed.push_back({sort_key(runtime, path, item, bound.get_flag(1, false)), item});
  }
  sort_keyed(runtime, keyed, bound.get_flag(0, false));
  return list_of(runtime, keyed);
}

Value filter_groupby(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "groupby", {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(runtime, bound.get(0));
  const AttributePath whole(runtime, Value::none());
  Vector<Keyed> keyed;
  for (const Value& item : items_of(runtime, value)) {
    keyed.push_back({sort_key(runtime, whole, path.of(item, bound.get(1)), bound.get_flag(2, false)), item});
  }
  sort_keyed(runtime, keyed, false);
  Vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    Vector<Value> items;
    size_t end = begin;
    for (; end < keyed.size() && equal(runtime, keyed[begin].key, keyed[end].key); ++end) {
      items.push_back(keyed[end].item);
    }
    if (end == begin) items.push_back(keyed[end++].item);  // NaN is not equal to itself
    // The group's name is the attribute of its first item, not its lower case.
    const Value grouper = path.of(keyed[begin].item, bound.get(1));
    const Value group = pair_of(runtime, grouper, runtime.make_list(std::move(items)));
    group.sequence().is_group = true;
    groups.push_back(group);
    begin = end;
  }
  return runtime.make_list(std::move(groups));
}

Value filter_batch(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "batch", {"linecount", "fill_with"}, 1);
  const int64_t size = bound.get_integer(0, 0);
  Vector<Value> batches;
  Vector<Value> batch;
  for (const Value& item : items_of(runtime, value)) {
    if (static_cast<int64_t>(batch.size()) == size) {
      batches.push_back(runtime.make_list(std::move(batch)));
      batch = {};
    }
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (!bound.get(1).is(Type::none) && size > static_cast<int64_t>(batch.size())) {
      runtime.check_memory(static_cast<size_t>(size));
      batch.resize(static_cast<size_t>(size), bound.get(1));
    }
    batches.push_back(runtime.make_list(std::move(batch)));
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(batches));
}

Value filter_slice(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "slice", {"slices", "fill_with"}, 1);
  const int64_t n = bound.get_integer(0, 0);
  if (n == 0) runtime.fail("division by zero: slice got no slices");
  const Vector<Value> items = items_of(runtime, value);
  const auto n_items = static_cast<int64_t>(items.size());
  Vector<Value> slices;
  int64_t begin = 0;
  for (int64_t i = 0; i < n; ++i) {
    runtime.step();
    const bool longer = i < n_items % n;  // the first slices get the remainder
    const int64_t end = begin + n_items / n + (longer ? 1 : 0);
    Vector<Value> slice(items.begin() + begin, items.begin() + end);
    if (!longer && !bound.get(1).is(Type::none)) slice.push_back(bound.get(1));
    slices.push_back(runtime.make_list(std::move(slice)));
    begin = end;
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(slices));
}

Value filter_unique(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "unique", {"case_sensitive", "attribute"});
  const AttributePath path(runtime, bound.get(1));
  Vector<Value> seen;
  Vector<Value> items;
  for (const Value& item : items_of(runtime, value)) {
    const Value key = sort_key(runtime, path, item, bound.get_flag(0, false));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(runtime, other, key); })) continue;
    seen.push_back(key);
    items.push_back(item);
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(items));
}

template <bool largest>
Value filter_extreme(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, largest ? "max" : "min", {"case_sensitive", "attribute"});
  const AttributePath path(runtime, bound.get(1));
  std::optional<Keyed> best;
  for (const Value& item : items_of(runtime, value)) {
    const Value key = sort_key(runtime, path, item, bound.get_flag(0, false));
    if (!best || (largest ? less(runtime, best->key, key) : less(runtime, key, best->key))) best = Keyed{key, item};
  }
  return best ? best->item : runtime.make_undefined("the extreme item of nothing");
}

Value filter_sum(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "sum", {"attribute", "start"});
  const AttributePath path(runtime, bound.get(0));
  Value total = bound.has(1) ? bound.get(1) : Value::of(int64_t{0});
  if (total.is(Type::string)) runtime.fail("sum does not take strings; |join does");
  for (const Value& item : items_of(runtime, value)) {
    runtime.step();
    total = arithmetic(runtime, Arithmetic::add, total, path.of(item));
  }
  return total;
}

Value filter_attr(Runtime& runtime, const Value& value, const CallArgs& args) {
  const Bound bound(runtime, args, "attr", {"name"}, 1);
  const Text* name = bound.get_text(0);
  if (name == nullptr) runtime.fail("attr takes a name");
  // |attr looks up attributes only, never the entries of a dict.
  if (value.is(Type::dict)) {
    const auto method = find_method(runtime, value, name->bytes());
    return method ? *method : runtime.make_undefined(name->bytes());
  }
  return get_attribute(runtime, value, name->bytes());
}

/// The arguments from the n-th on, which are passed to a filter or test that another filter applies.
CallArgs rest_of(const CallArgs& args, size_t n) {
  CallArgs rest = args;
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<std::ptrdiff_t>(n));
  return rest;
}

/// map, select and reject treat falsy values such as None and 0 as an empty list.
Vector<Value> items_or_nothing(Runtime& runtime, const Value& value) {
  return truthy(value) ? items_of(runtime, value) : Vector<Value>();
}

Value filter_map(Runtime& runtime, const Value& value, const CallArgs& args) {
  Vector<Value> items;
  if (args.positional.empty()) {
    const Bound bound(runtime, args, "map", {"attribute", "default"});
    if (!bound.has(0)) runtime.fail("map needs the name of a filter or attribute=…");
    const AttributePath path(runtime, bound.get(0));
    for (const Value& item : items_or_nothing(runtime, value)) {
      Value mapped = path.of(item);
      if (mapped.is(Type::undefined) && bound.has(1)) mapped = bound.get(1);
      items.push_back(mapped);
    }
  } else {
    if (!args.positional[0].is(Type::string)) runtime.fail("map needs the name of a filter");
    const CallArgs rest = rest_of(args, 1);
    for (const Value& item : items_or_nothing(runtime, value)) {
      items.push_back(apply_filter(runtime, args.positional[0].bytes(), item, rest));
    }
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(items));
}

/// select and reject (by_attribute = false), selectattr and rejectattr.
template <bool keep, bool by_attribute>
Value filter_select(Runtime& runtime, const Value& value, const CallArgs& args) {
  constexpr size_t n_fixed = by_attribute ? 1 : 0;
  if (args.positional.size() < n_fixed) runtime.fail("selectattr and rejectattr need the name of an attribute");
  const AttributePath path(runtime, by_attribute ? args.positional[0] : Value::none());
  const bool tested = args.positional.size() > n_fixed;
  if (tested && !args.positional[n_fixed].is(Type::string)) runtime.fail("select and reject need the name of a test");
  const CallArgs rest = tested ? rest_of(args, n_fixed + 1) : CallArgs();
  Vector<Value> items;
  for (const Value& item : items_or_nothing(runtime, value)) {
    const Value subject = path.of(item);
    const bool yes = tested ? apply_test(runtime, args.positional[n_fixed].bytes(), subject, rest) : truthy(subject);
    if (yes == keep) items.push_back(item);
  }
  return runtime.make_sequence(Sequence::Kind::generator, std::move(items));
}

}  // namespace

const FilterEntry sequence_filters[] = {
    {"default", filter_default},
    {"d", filter_default},
    {"length", filter_length},
    {"count", filter_length},
    {"first", filter_first},
    {"last", filter_last},
    {"join", filter_join},
    {"list", filter_list},
    {"reverse", filter_reverse},
    {"items", filter_items},
    {"dictsort", filter_dictsort},
    {"sort", filter_sort},
    {"groupby", filter_groupby},
    {"batch", filter_batch},
    {"slice", filter_slice},
    {"unique", filter_unique},
    {"min", filter_extreme<false>},
    {"max", filter_extreme<true>},
    {"sum", filter_sum},
    {"attr", filter_attr},
    {"map", filter_map},
    {"select", filter_select<true, false>},
    {"reject", filter_select<false, false>},
    {"selectattr", filter_select<true, true>},
    {"rejectattr", filter_select<false, true>},
    {"", nullptr},
};

}  // namespace headroom::jinja
