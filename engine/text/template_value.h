// The values that a template computes with, and the memory and the limits of one rendering. Between the parser (which
// makes constants) and the evaluator; knows neither.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/chat_template.h"
#include "engine/text/template_text.h"

namespace headroom::jinja {

class Runtime;

/// What a value may point to. Objects live until the rendering ends, so cycles and deep structures need no care.
struct Object {
  virtual ~Object() = default;
};

enum class Type : uint8_t { undefined, none, boolean, integer, real, string, sequence, dict, name_space, callable };

struct StringObject;
struct Sequence;
struct Dict;
struct Callable;

/// A Python value: small ones inside, large ones by pointer. Copying is cheap and shares the object.
struct Value {
  Type type = Type::undefined;
  bool from_user = false;  // a number that was read from a user's characters; strings carry their own marks
  union {
    bool boolean;
    int64_t integer;
    double real;
    const Object* object = nullptr;  // undefined: its name as a string object, or null
  };

  Value() = default;
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
  const std::string& bytes() const;
  Sequence& sequence() const;
  Dict& dict() const;
  const Callable& callable() const;
};

struct StringObject : Object {
  explicit StringObject(Text t, bool is_markup = false);
  const Text text;
  const size_t n_chars;
  const bool markup;  // Jinja's Markup: what is added to it is escaped
};

/// Everything that Python iterates by position. A generator can be walked once and has no length.
struct Sequence : Object {
  enum class Kind : uint8_t { list, tuple, range, view, generator };
  Sequence(Kind k, std::vector<Value> v) : kind(k), items(std::move(v)) {}
  Kind kind;
  std::vector<Value> items;
};

/// A dict in the order of insertion, or a namespace. Keys are compared as Python does (1 == True).
struct Dict : Object {
  std::vector<std::pair<Value, Value>> entries;
};

struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<Value, Value>> named;  // the keys are strings, with their marks
};

struct Callable : Object {
  virtual Value call(Runtime& runtime, const CallArgs& args) const = 0;
  /// Nothing where there is no such attribute.
  virtual std::optional<Value> attribute(Runtime& runtime, std::string_view name) const;
};

/// One rendering: owns every object made, counts what was made and done, and words the errors.
class Runtime {
 public:
  Runtime(const TemplateLimits& l, const StopQuestion& stop) : limits(l), stop_(stop) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_unsupported(const std::string& what) const;

  void step(int64_t n = 1);
  /// Memory that is about to be made (kept to the end of the rendering).
  void charge_memory(size_t bytes);
  /// Fails where so much could not be charged, without charging it: before a temporary that may be huge is built.
  void check_memory(size_t bytes) const;
  /// Bytes that are about to be scanned, copied or compared.
  void charge_work(size_t bytes);
  /// Bytes of text that are about to be treated character by character, which takes longer.
  void charge_chars(size_t bytes);

  template <class T, class... Args>
  T* make(Args&&... args) {
    charge_memory(sizeof(T) + 32);
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T* object = owned.get();
    objects_.push_back(std::move(owned));
    return object;
  }
  Value make_string(Text text, bool markup = false);
  Value make_string(std::string_view bytes) { return make_string(Text(bytes)); }
  Value make_sequence(Sequence::Kind kind, std::vector<Value> items);
  Value make_list(std::vector<Value> items) { return make_sequence(Sequence::Kind::list, std::move(items)); }
  Value make_tuple(std::vector<Value> items) { return make_sequence(Sequence::Kind::tuple, std::move(items)); }
  Value make_undefined(std::string_view name);

  const TemplateLimits limits;
  int line = 0;        // of the template, where the evaluator stands
  int call_depth = 0;  // macros and recursive loops
  int depth = 0;       // everything that recurses; see Nesting

 private:
  /// Throws Cancelled where the rendering is no longer wanted.
  void ask_to_stop() const;

  const StopQuestion& stop_;
  std::vector<std::unique_ptr<Object>> objects_;
  int64_t steps_ = 0;
  size_t memory_bytes_ = 0;
  size_t work_bytes_ = 0;
  size_t work_bytes_asked_ = 0;  // when the question was asked last
};

/// Counts one level of recursion while it lives. The evaluator recurses several times for each level of nesting that
/// an author sees, so the limit is a multiple of his.
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
