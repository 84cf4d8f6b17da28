// The groups of options that commands share, and the engine's values that follow from them: which model, which
// backend, what a head may keep, how a token is drawn, what the prompt is. Contradictions end here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/streams.h"
#include "engine/backend/backend.h"
#include "engine/run/model.h"
#include "engine/run/restartable_backend.h"
#include "engine/run/session.h"

namespace headroom {

/// Offered by every command, so that a script can give all of them the same ones.
struct CommonOptions {
  std::optional<std::string> model;
  std::optional<std::string> backend;
  std::optional<int64_t> n_threads;
  std::optional<int64_t> n_ctx;
  bool json = false;

  void add_to(CommandLine& line);
  /// --model, else HEADROOM_MODEL, else the default model in the cache folder; throws Error where that is missing.
  std::string model_path() const;
  /// The same without a look at the default model: empty where only that is meant.
  std::string named_model_path() const;
  std::unique_ptr<Backend> open_backend() const;
  RestartableBackend open_restartable_backend() const;
  /// Before anything that takes time, such as reading the model: what opening a backend waits for begins now.
  void prepare_backend() const;
};

/// A name that no backend has is refused before a model is opened.
void add_backend_option(CommandLine& line, std::optional<std::string>& backend);

/// Where ./run.sh puts the default model, whether it is there or not.
std::string default_model_path();

/// What a head may keep.
struct CacheOptions {
  std::optional<std::string> cache, config, policy_set, group, kv_budget, cache_type, calibration;
  std::optional<double> r_local, r_frequent, threshold, keep;

  /// default_config: for the help.
  void add_to(CommandLine& line, const std::string& default_config = "default: paper");
  bool given() const;
  /// unnamed: the configuration where no option names one or shapes the paper's policies. Throws UsageError for
  /// contradictions and unknown names.
  CacheConfig make_config(const std::string& unnamed = "paper") const;

 private:
  void set_keep(CacheConfig& config) const;
};

/// A configuration by its name; throws UsageError with the nearest or all names.
CacheConfig named_cache_config(const std::string& name);

/// The chat template in place of the file's own.
struct TemplateOption {
  std::optional<std::string> text;  // as given

  void add_to(CommandLine& line);
  /// A name or a file ─► its text, parsed once so that a faulty one is refused before a model is opened. Throws
  /// UsageError for what is neither, with the names; Error for a file that cannot be used.
  TemplateChoice choose(Streams& io) const;
};

/// For commands that send messages: what the user should know of the template, on `err`. Throws Error where the file's
/// own cannot be used.
void check_template(const Model& model, Streams& io);

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
  std::string read(Streams& io) const;
  /// Ids for run_ids where raw; else messages for run_turn.
  std::vector<ChatMessage> messages(const std::string& text) const;
};

struct SamplingOptions {
  std::optional<int64_t> max_tokens, top_k, seed;
  std::optional<double> temperature, top_p, min_p, repeat_penalty;
  std::vector<std::string> stop_strings;

  void add_to(CommandLine& line);
  /// Draws a seed where none was given.
  TurnOptions make_turn_options() const;
};

/// What the user should know of the configuration, on `err`.
void print_cache_note(const Session& session, Streams& io);

SessionOptions make_session_options(const CommonOptions& common, const CacheConfig& cache);

}  // namespace headroom
