// The values that a template computes with, and the memory and limits of one rendering. The parser (for constants) and
// the evaluator use it; it knows neither.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/text.h"

namespace headroom::jinja {

class Runtime;

/// A reference-counted object that values point to. Objects in a reference cycle live until the rendering ends. A
/// constant of the template has no owner: it outlives every rendering and its references are not counted, so renderings
/// on several threads can share it.
class Object {
 public:
  Object() = default;
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  /// Releases all references to other objects.
  virtual void drop() {}

  void hold() const noexcept {
    if (owner_ != nullptr) ++n_holders_;
  }
  inline void let_go() const noexcept;

  static void* operator new(size_t bytes) { return take_counted(bytes); }
  static void operator delete(void* memory, size_t bytes) noexcept { give_counted(memory, bytes); }

 private:
  friend class Runtime;
  Runtime* owner_ = nullptr;
  mutable size_t n_holders_ = 0;
  Object* previous_ = nullptr;
  Object* next_ = nullptr;
};

/// A counted reference to an object of a known type.
template <class T>
class Ref {
 public:
  Ref(T* object = nullptr) : object_(object) {
    if (object_ != nullptr) object_->hold();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->let_go();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }

 private:
  T* object_;
};

enum class Type : uint8_t { undefined, none, boolean, integer, real, string, sequence, dict, name_space, callable };

struct StringObject;
struct Sequence;
struct Dict;
struct Callable;

/// A Python value. Numbers are stored inside, larger values by pointer. Copying is cheap and shares the object.
struct Value {
  Type type = Type::undefined;
  bool from_user = false;  // a number that was parsed from a user's characters; strings have their own marks
  union {                  // construction sets all eight bytes; they are copied as `object`
    bool boolean;
    int64_t integer;
    double real;
    const Object* object = nullptr;  // undefined: its name as a string object, or null
  };

  Value() = default;
  Value(const Value& other) noexcept : type(other.type), from_user(other.from_user), object(other.object) {
    if (const Object* held = held_object()) held->hold();
  }
  Value(Value&& other) noexcept : type(other.type), from_user(other.from_user), object(other.object) {
    other.type = Type::undefined;
    other.object = nullptr;
  }
  Value& operator=(Value other) noexcept {
    std::swap(type, other.type);
    std::swap(from_user, other.from_user);
    std::swap(object, other.object);
    return *this;
  }
  ~Value() {
    if (const Object* held = held_object()) held->let_go();
  }
  static Value undefined(const StringObject* name);
  static Value none();
  static Value of(bool value);
  static Value of(int64_t value, bool from_user = false);
  static Value of(double value, bool from_user = false);
  explicit Value(const StringObject* string);
  explicit Value(const Sequence* sequence);
  explicit Value(const Dict* dict, Type type = Type::dict);
  explicit Value(const Callable* callable);

  bool is(Type t) const { return type == t; }
  bool is_number() const { return is(Type::boolean) || is(Type::integer) || is(Type::real); }
  bool is_integral() const { return is(Type::boolean) || is(Type::integer); }
  int64_t as_integer() const { return is(Type::boolean) ? int64_t{boolean} : integer; }
  double as_real() const { return is(Type::real) ? real : static_cast<double>(as_integer()); }
  const StringObject& string() const;
  const Text& text() const;
  const String& bytes() const;
  Sequence& sequence() const;
  Dict& dict() const;
  const Callable& callable() const;

 private:
  Value(Type t, const Object* o) : type(t), object(o) {
    if (o != nullptr) o->hold();
  }
  const Object* held_object() const { return type == Type::undefined || type >= Type::string ? object : nullptr; }
};

struct StringObject : Object {
  explicit StringObject(Text t, bool is_markup = false);
  const Text text;
  const size_t n_chars;
  const bool markup;  // Jinja's Markup: text that is added to it is escaped
};

/// Every type that Python iterates by position. A generator can be iterated once and has no length.
struct Sequence : Object {
  enum class Kind : uint8_t { list, tuple, range, view, generator };
  Sequence(Kind k, Vector<Value> v) : kind(k), items(std::move(v)) {}
  void drop() override { items.clear(); }
  Kind kind;
  bool is_group = false;  // result of |groupby: the tuple's items are also named grouper and list
  Vector<Value> items;
};

/// A dict in insertion order, or a namespace. Keys are compared as in Python (1 == True).
struct Dict : Object {
  void drop() override { entries.clear(); }
  Vector<std::pair<Value, Value>> entries;
};

struct CallArgs {
  Vector<Value> positional;
  Vector<std::pair<Value, Value>> named;  // the keys are strings, with their marks
};

struct Callable : Object {
  virtual Value call(Runtime& runtime, const CallArgs& args) const = 0;
  /// Returns nothing if there is no such attribute.
  virtual std::optional<Value> attribute(Runtime& runtime, std::string_view name) const;
};

/// One rendering: owns every object, charges memory and work, and throws the errors.
class Runtime : public Budget {
 public:
  Runtime(const TemplateLimits& most, const StopQuestion& stop) : Budget(most, stop) {}
  ~Runtime();

  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_unsupported(const std::string& what) const;

  /// Charges an operation of the template (a call, a filter, a test, an operator, a subscript) before it runs. The
  /// charge covers everything that it may read: each text and each list among its operands. Its result is charged when
  /// memory is allocated, and work per character is charged by char_at.
  void charge(std::initializer_list<const Value*> operands);
  void charge_call(const Value& receiver, const CallArgs& args);

  template <class T, class... Args>
  T* make(Args&&... args) {
    T* object = new T(std::forward<Args>(args)...);
    own(*object);
    return object;
  }
  Value make_string(Text text, bool markup = false);
  Value make_string(std::string_view bytes) { return make_string(Text(bytes)); }
  Value make_sequence(Sequence::Kind kind, Vector<Value> items);
  Value make_list(Vector<Value> items) { return make_sequence(Sequence::Kind::list, std::move(items)); }
  Value make_tuple(Vector<Value> items) { return make_sequence(Sequence::Kind::tuple, std::move(items)); }
  Value make_undefined(std::string_view name);

  int call_depth = 0;  // macros and recursive loops
  int depth = 0;       // all recursion; see Nesting

 private:
  friend class Object;
  void own(Object& object);
  void bury(Object& object) noexcept;

  Object* first_ = nullptr;  // list of all live objects
  Object* dead_ = nullptr;   // list of objects to be deleted next
  bool is_burying_ = false;
};

inline void Object::let_go() const noexcept {
  if (owner_ != nullptr && --n_holders_ == 0) owner_->bury(const_cast<Object&>(*this));
}

/// The beginning of an untrusted text, for error messages.
std::string shown(std::string_view text);

/// Counts one level of recursion during its lifetime. The evaluator recurses several times per level of nesting in the
/// source, so its limit is a multiple of max_depth.
class Nesting {
 public:
  explicit Nesting(Runtime& runtime);
  ~Nesting() { --runtime_.depth; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Runtime& runtime_;
};

}  // namespace headroom::jinja
