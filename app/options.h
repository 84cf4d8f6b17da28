// The groups of options that commands share ─► the engine's values: model, backend, what a head may keep, sampling,
// prompt. Contradictions are refused here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/console.h"
#include "engine/backend/backend.h"
#include "engine/run/model.h"
#include "engine/run/restartable_backend.h"
#include "engine/run/session.h"

namespace headroom {

/// Every command offers these, so that a script can pass the same options to all.
struct CommonOptions {
  std::optional<std::string> model;
  std::optional<std::string> backend;
  std::optional<int64_t> n_threads;
  std::optional<int64_t> n_ctx;
  bool json = false;

  void add_to(CommandLine& line);
  /// --model, else HEADROOM_MODEL, else the default model in the cache folder; throws Error if that is missing.
  std::string model_path() const;
  /// --model, else HEADROOM_MODEL, else empty. Does not look for the default model.
  std::string named_model_path() const;
  std::unique_ptr<Backend> open_backend() const;
  RestartableBackend open_restartable_backend() const;
  /// Starts in the background what opening a backend would wait for. Call it before slow work such as loading the
  /// model.
  void prepare_backend() const;
};

/// An unknown backend name is refused before a model is opened.
void add_backend_option(CommandLine& line, std::optional<std::string>& backend);

/// The path to which ./run.sh downloads the default model, whether it exists or not.
std::string default_model_path();

/// What a head may keep.
struct CacheOptions {
  std::optional<std::string> cache, config, policy_set, group, kv_budget, cache_type, calibration;
  std::optional<double> r_local, r_frequent, threshold, keep;

  /// default_config: for the help.
  void add_to(CommandLine& line, const std::string& default_config = "default: paper");
  bool given() const;
  /// unnamed: the configuration to use if no option names one or changes the paper's policies. Throws UsageError for
  /// contradictions and unknown names.
  CacheConfig make_config(const std::string& unnamed = "paper") const;

 private:
  void set_keep(CacheConfig& config) const;
};

/// A configuration by its name; throws a UsageError that suggests the nearest name or lists all.
CacheConfig named_cache_config(const std::string& name);

/// The chat template in place of the file's own.
struct TemplateOption {
  std::optional<std::string> text;  // as given

  void add_to(CommandLine& line);
  /// A name or a file ─► its text, parsed once so that a faulty one is refused before a model is opened. If it is
  /// neither, throws a UsageError that lists the names. Throws Error for a file that cannot be used.
  TemplateChoice choose(Console& io) const;
};

/// For commands that send messages: prints what the user should know about the template on `err`. Throws Error if the
/// file's own template cannot be used.
void check_template(const Model& model, Console& io);

struct PromptOptions {
  std::optional<std::string> prompt, file, system;
  bool raw = false;
  bool special = false;
  TemplateOption chat_template;

  void add_to(CommandLine& line);
  bool given() const { return prompt || file; }
  /// Contradictions that need no model; throws UsageError.
  void check() const;
  /// The text of -p or -f, byte for byte; "-" is `io.in`. Throws Error for a file that cannot be read, an empty text,
  /// NUL bytes and invalid UTF-8.
  std::string read(Console& io) const;
  /// If raw, ids for run_ids; else messages for run_turn.
  std::vector<ChatMessage> messages(const std::string& text) const;
};

struct SamplingOptions {
  std::optional<int64_t> max_tokens, top_k, seed;
  std::optional<double> temperature, top_p, min_p, repeat_penalty;
  std::vector<std::string> stop_strings;

  void add_to(CommandLine& line);
  /// Chooses a random seed if none was given.
  TurnOptions make_turn_options() const;
};

/// Prints what the user should know about the configuration on `err`.
void print_cache_note(const Session& session, Console& io);

SessionOptions make_session_options(const CommonOptions& common, const CacheConfig& cache);

}  // namespace headroom
