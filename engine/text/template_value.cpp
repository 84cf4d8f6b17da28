// Values and the limits of one rendering: see template_value.h.
#include "engine/text/template_value.h"

#include <cassert>

#include "engine/text/template_error.h"

namespace headroom::jinja {

namespace {

// Time is bounded by steps and by bytes looked at; this is under a second of scanning.
constexpr size_t max_work_bytes = size_t{512} << 20;
constexpr size_t work_per_char = 16;
// A few milliseconds.
constexpr int64_t steps_per_question = 1 << 12;
constexpr size_t work_per_question = size_t{1} << 20;
constexpr int frames_per_level = 16;

}  // namespace

Value Value::none() {
  Value value;
  value.type = Type::none;
  return value;
}

Value Value::of(bool b) {
  Value value;
  value.type = Type::boolean;
  value.boolean = b;
  return value;
}

Value Value::of(int64_t i, bool from_user) {
  Value value;
  value.type = Type::integer;
  value.from_user = from_user;
  value.integer = i;
  return value;
}

Value Value::of(double d, bool from_user) {
  Value value;
  value.type = Type::real;
  value.from_user = from_user;
  value.real = d;
  return value;
}

Value::Value(const StringObject* string) : type(Type::string), object(string) {}
Value::Value(const Sequence* sequence) : type(Type::sequence), object(sequence) {}
Value::Value(const Dict* dict, Type t) : type(t), object(dict) {}
Value::Value(const Callable* callable) : type(Type::callable), object(callable) {}

const StringObject& Value::string() const {
  assert(is(Type::string));
  return *static_cast<const StringObject*>(object);
}

const Text& Value::text() const {
  return string().text;
}

const std::string& Value::bytes() const {
  return string().text.bytes();
}

// The two kinds of object that change after they were made: a generator as it is walked, a namespace as it is set.
Sequence& Value::sequence() const {
  assert(is(Type::sequence));
  return *const_cast<Sequence*>(static_cast<const Sequence*>(object));
}

Dict& Value::dict() const {
  assert(is(Type::dict) || is(Type::name_space));
  return *const_cast<Dict*>(static_cast<const Dict*>(object));
}

const Callable& Value::callable() const {
  assert(is(Type::callable));
  return *static_cast<const Callable*>(object);
}

StringObject::StringObject(Text t, bool is_markup)
    : text(std::move(t)), n_chars(count_chars(text.bytes())), markup(is_markup) {}

std::optional<Value> Callable::attribute(Runtime&, std::string_view) const {
  return std::nullopt;
}

void Runtime::fail(const std::string& what) const {
  fail_at_line(line, what);
}

void Runtime::fail_unsupported(const std::string& what) const {
  fail_unsupported_at_line(line, what);
}

void Runtime::ask_to_stop() const {
  if (stop_ && stop_()) throw Cancelled{};
}

void Runtime::step(int64_t n) {
  if ((steps_ ^ (steps_ + n)) >= steps_per_question) ask_to_stop();
  steps_ += n;
  if (steps_ > limits.max_steps) {
    fail("the template was stopped after " + std::to_string(limits.max_steps) + " steps");
  }
}

void Runtime::check_memory(size_t bytes) const {
  if (bytes > limits.max_memory_bytes - memory_bytes_) {
    fail("the template was stopped when its values took more than " + std::to_string(limits.max_memory_bytes >> 20) +
         " MiB");
  }
}

void Runtime::charge_memory(size_t bytes) {
  check_memory(bytes);
  memory_bytes_ += bytes;
}

void Runtime::charge_work(size_t bytes) {
  if (bytes > max_work_bytes - work_bytes_) {
    fail("the template was stopped after it had looked through " + std::to_string(max_work_bytes >> 20) +
         " MiB of text and lists");
  }
  work_bytes_ += bytes;
  if (work_bytes_ - work_bytes_asked_ >= work_per_question) {
    work_bytes_asked_ = work_bytes_;
    ask_to_stop();
  }
}

void Runtime::charge_chars(size_t bytes) {
  charge_work(bytes > max_work_bytes ? bytes : work_per_char * bytes);
}

Value Runtime::make_string(Text text, bool markup) {
  charge_memory(text.memory_bytes());
  return Value(make<StringObject>(std::move(text), markup));
}

Value Runtime::make_sequence(Sequence::Kind kind, std::vector<Value> items) {
  charge_memory(items.size() * sizeof(Value));
  return Value(make<Sequence>(kind, std::move(items)));
}

Value Runtime::make_undefined(std::string_view name) {
  Value value;
  value.object = make<StringObject>(Text(name));
  return value;
}

Nesting::Nesting(Runtime& runtime) : runtime_(runtime) {
  if (runtime.depth >= runtime.limits.max_depth * frames_per_level) {
    runtime.fail("the template is nested deeper than " + std::to_string(runtime.limits.max_depth) + " levels");
  }
  ++runtime.depth;
}

}  // namespace headroom::jinja
