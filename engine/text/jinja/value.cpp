// Values and the limits of one rendering. See value.h.
#include "engine/text/jinja/value.h"

#include <cassert>

#include "engine/text/jinja/error.h"

namespace headroom::jinja {

namespace {

constexpr size_t work_per_operand_byte = 2;
constexpr int frames_per_level = 16;

size_t bytes_of(const Value& value) {
  if (value.is(Type::string)) return value.text().memory_bytes();
  if (value.is(Type::sequence)) return value.sequence().items.size() * sizeof(Value);
  if (value.is(Type::dict) || value.is(Type::name_space)) return value.dict().entries.size() * 2 * sizeof(Value);
  return sizeof(Value);
}

/// The bytes of a value, including the strings in a list, since a call can read them too.
size_t deep_bytes_of(const Value& value) {
  size_t bytes = bytes_of(value);
  if (!value.is(Type::sequence)) return bytes;
  for (const Value& item : value.sequence().items) {
    if (item.is(Type::string)) bytes += item.text().size();
  }
  return bytes;
}

}  // namespace

Value Value::none() {
  Value value;
  value.type = Type::none;
  return value;
}

Value Value::of(bool b) {
  Value value;
  value.type = Type::boolean;
  value.integer = 0;
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

Value::Value(const StringObject* string) : Value(Type::string, string) {}
Value::Value(const Sequence* sequence) : Value(Type::sequence, sequence) {}
Value::Value(const Dict* dict, Type t) : Value(t, static_cast<const Object*>(dict)) {}
Value::Value(const Callable* callable) : Value(Type::callable, callable) {}

Value Value::undefined(const StringObject* name) {
  return Value(Type::undefined, name);
}

const StringObject& Value::string() const {
  assert(is(Type::string));
  return *static_cast<const StringObject*>(object);
}

const Text& Value::text() const {
  return string().text;
}

const String& Value::bytes() const {
  return string().text.bytes();
}

// Sequence and Dict return non-const objects because two kinds change later: a generator when it is iterated, and a
// namespace when it is assigned to.
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

void Runtime::own(Object& object) {
  object.owner_ = this;
  object.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &object;
  first_ = &object;
}

/// Deletes an object without references, then every object that only it referenced. This is a loop, not a recursion,
/// because a chain of references can be longer than the stack is deep.
void Runtime::bury(Object& object) noexcept {
  (object.previous_ != nullptr ? object.previous_->next_ : first_) = object.next_;
  if (object.next_ != nullptr) object.next_->previous_ = object.previous_;
  object.next_ = dead_;
  dead_ = &object;
  if (is_burying_) return;
  is_burying_ = true;
  while (dead_ != nullptr) {
    Object* next = dead_;
    dead_ = next->next_;
    delete next;
  }
  is_burying_ = false;
}

/// The remaining objects are in reference cycles. Each one is held until all have dropped their references.
Runtime::~Runtime() {
  for (Object* object = first_; object != nullptr; object = object->next_) object->hold();
  for (Object* object = first_; object != nullptr; object = object->next_) object->drop();
  while (first_ != nullptr) first_->let_go();
}

void Runtime::charge(std::initializer_list<const Value*> operands) {
  size_t bytes = 0;
  for (const Value* operand : operands) bytes += bytes_of(*operand);
  work(work_per_operand_byte * bytes);
}

void Runtime::charge_call(const Value& receiver, const CallArgs& args) {
  size_t bytes = deep_bytes_of(receiver);
  for (const Value& value : args.positional) bytes += deep_bytes_of(value);
  for (const auto& [key, value] : args.named) bytes += deep_bytes_of(key) + deep_bytes_of(value);
  work(work_per_operand_byte * bytes);
}

Value Runtime::make_string(Text text, bool markup) {
  work(text.size());
  return Value(make<StringObject>(std::move(text), markup));
}

Value Runtime::make_sequence(Sequence::Kind kind, Vector<Value> items) {
  return Value(make<Sequence>(kind, std::move(items)));
}

Value Runtime::make_undefined(std::string_view name) {
  return Value::undefined(make<StringObject>(Text(shown(name))));
}

std::string shown(std::string_view text) {
  constexpr size_t max_bytes = 200;
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

Nesting::Nesting(Runtime& runtime) : runtime_(runtime) {
  if (runtime.depth >= runtime.limits.max_depth * frames_per_level) {
    runtime.fail("the template is nested deeper than " + std::to_string(runtime.limits.max_depth) + " levels");
  }
  ++runtime.depth;
}

}  // namespace headroom::jinja
