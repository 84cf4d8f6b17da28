// Jinja's tests (the names after `is`). See builtins.h.
#include <algorithm>
#include <string>

#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/ops.h"

namespace headroom::jinja {

namespace {

using Predicate = bool (*)(Runtime& runtime, const Value& value, const Value& argument);

bool same_object(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::none:
      return true;
    case Type::boolean:
      return a.boolean == b.boolean;
    case Type::integer:
      return a.integer == b.integer;
    case Type::real:
      return a.real == b.real;
    default:
      return a.object == b.object;
  }
}

bool remainder_is(Runtime& runtime, const Value& value, const Value& divisor, int64_t wanted) {
  return equal(runtime, arithmetic(runtime, Arithmetic::modulo, value, divisor), Value::of(wanted));
}

bool is_sequence(const Value& value) {
  if (value.is(Type::sequence)) {
    return value.sequence().kind != Sequence::Kind::generator && value.sequence().kind != Sequence::Kind::view;
  }
  return value.is(Type::string) || value.is(Type::dict) || value.is(Type::undefined);
}

bool has_case(Runtime& runtime, const Value& value, const char* method) {
  const Value function = get_attribute(runtime, to_string(runtime, value), method);
  return truthy(function.callable().call(runtime, {}));
}

struct TestEntry {
  std::string_view name;
  int n_arguments;
  Predicate predicate;
};

using R = Runtime;
using V = Value;

constexpr auto test_equal = [](R& r, const V& a, const V& b) { return equal(r, a, b); };
constexpr auto test_not_equal = [](R& r, const V& a, const V& b) { return !equal(r, a, b); };
constexpr auto test_less = [](R& r, const V& a, const V& b) { return less(r, a, b); };
constexpr auto test_less_equal = [](R& r, const V& a, const V& b) { return less(r, a, b) || equal(r, a, b); };
constexpr auto test_greater = [](R& r, const V& a, const V& b) { return less(r, b, a); };
constexpr auto test_greater_equal = [](R& r, const V& a, const V& b) { return less(r, b, a) || equal(r, a, b); };

constexpr TestEntry tests[] = {
    {"defined", 0, [](R&, const V& v, const V&) { return !v.is(Type::undefined); }},
    {"undefined", 0, [](R&, const V& v, const V&) { return v.is(Type::undefined); }},
    {"none", 0, [](R&, const V& v, const V&) { return v.is(Type::none); }},
    {"boolean", 0, [](R&, const V& v, const V&) { return v.is(Type::boolean); }},
    {"true", 0, [](R&, const V& v, const V&) { return v.is(Type::boolean) && v.boolean; }},
    {"false", 0, [](R&, const V& v, const V&) { return v.is(Type::boolean) && !v.boolean; }},
    {"integer", 0, [](R&, const V& v, const V&) { return v.is(Type::integer); }},
    {"float", 0, [](R&, const V& v, const V&) { return v.is(Type::real); }},
    {"number", 0, [](R&, const V& v, const V&) { return v.is_number(); }},
    {"string", 0, [](R&, const V& v, const V&) { return v.is(Type::string); }},
    {"mapping", 0, [](R&, const V& v, const V&) { return v.is(Type::dict); }},
    {"sequence", 0, [](R&, const V& v, const V&) { return is_sequence(v); }},
    {"iterable", 0, [](R&, const V& v, const V&) { return is_iterable(v); }},
    {"callable", 0, [](R&, const V& v, const V&) { return v.is(Type::callable) || v.is(Type::undefined); }},
    {"escaped", 0, [](R&, const V& v, const V&) { return v.is(Type::string) && v.string().markup; }},
    {"upper", 0, [](R& r, const V& v, const V&) { return has_case(r, v, "isupper"); }},
    {"lower", 0, [](R& r, const V& v, const V&) { return has_case(r, v, "islower"); }},
    {"odd", 0, [](R& r, const V& v, const V&) { return remainder_is(r, v, V::of(int64_t{2}), 1); }},
    {"even", 0, [](R& r, const V& v, const V&) { return remainder_is(r, v, V::of(int64_t{2}), 0); }},
    {"divisibleby", 1, [](R& r, const V& v, const V& n) { return remainder_is(r, v, n, 0); }},
    {"sameas", 1, [](R&, const V& a, const V& b) { return same_object(a, b); }},
    {"in", 1, [](R& r, const V& item, const V& container) { return contains(r, container, item); }},
    {"filter", 0, [](R&, const V& v, const V&) { return v.is(Type::string) && has_filter(v.bytes()); }},
    {"test", 0, [](R&, const V& v, const V&) { return v.is(Type::string) && has_test(v.bytes()); }},
    {"eq", 1, test_equal},
    {"equalto", 1, test_equal},
    {"==", 1, test_equal},
    {"ne", 1, test_not_equal},
    {"!=", 1, test_not_equal},
    {"lt", 1, test_less},
    {"lessthan", 1, test_less},
    {"<", 1, test_less},
    {"le", 1, test_less_equal},
    {"<=", 1, test_less_equal},
    {"gt", 1, test_greater},
    {"greaterthan", 1, test_greater},
    {">", 1, test_greater},
    {"ge", 1, test_greater_equal},
    {">=", 1, test_greater_equal},
};

const TestEntry* find_test(std::string_view name) {
  const auto found = std::find_if(std::begin(tests), std::end(tests), [name](const auto& t) { return t.name == name; });
  return found == std::end(tests) ? nullptr : found;
}

}  // namespace

bool has_test(std::string_view name) {
  return find_test(name) != nullptr;
}

bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const CallArgs& args) {
  runtime.step();
  const TestEntry* test = find_test(name);
  if (test == nullptr) runtime.fail_unsupported("the test '" + std::string(name.substr(0, 100)) + "'");
  if (!args.named.empty() || args.positional.size() != static_cast<size_t>(test->n_arguments)) {
    runtime.fail("the test '" + std::string(name) + "' takes " + std::to_string(test->n_arguments) + " arguments");
  }
  runtime.charge_call(value, args);
  return test->predicate(runtime, value, args.positional.empty() ? Value() : args.positional[0]);
}

}  // namespace headroom::jinja
