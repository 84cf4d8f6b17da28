// Tables of importance as JSON. See calibration_table.h.
#include "engine/run/calibration_table.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "assets/builtin_files.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/base/platform/regular_file.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

constexpr int format_version = 1;
constexpr size_t max_file_bytes = size_t{16} << 20;
constexpr size_t hashed_tensor_bytes = 4096;
constexpr double max_beta = 8;

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~Hash() { XXH3_freeState(state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void add(const void* bytes, size_t count) { XXH3_128bits_update(state_, bytes, count); }
  void add(std::string_view text) {
    add_number(text.size());
    add(text.data(), text.size());
  }
  void add_number(uint64_t number) { add(&number, sizeof number); }

  std::string digest() const {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(state_));
    std::string text;
    for (const unsigned char byte : bytes.digest) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    }
    return text;
  }

 private:
  XXH3_state_t* state_;
};

/// A whole number; a JSON number of another kind would be cut.
int32_t read_int(const Json& value) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0 || value.get<int64_t>() > 1 << 30)
    throw Error("a count is " + value.dump() + "; expected a whole number");
  return value.get<int32_t>();
}

Json texts_json(const std::vector<CalibrationText>& texts) {
  Json list = Json::array();
  for (const CalibrationText& text : texts)
    list.push_back({{"name", text.name}, {"hash", text.hash}, {"n_tokens", text.n_tokens}});
  return list;
}

std::vector<CalibrationText> read_texts(const Json& list) {
  std::vector<CalibrationText> texts;
  for (const Json& text : list)
    texts.push_back(
        {text.at("name").get<std::string>(), text.at("hash").get<std::string>(), read_int(text.at("n_tokens"))});
  return texts;
}

TokenScore read_score(const Json& name) {
  for (const TokenScore score : {TokenScore::accumulated, TokenScore::expected, TokenScore::mixed})
    if (name == token_score_name(score)) return score;
  throw Error("the score is " + name.dump() + "; expected \"accumulated\", \"expected\" or \"mixed\"");
}

double read_beta(const Json& value) {
  const double beta = value.get<double>();
  if (!(beta >= 0 && beta <= max_beta)) throw Error("beta is " + value.dump() + "; expected 0 to 8");
  return beta;
}

std::vector<double> read_losses(const Json& list, const char* name, size_t n_heads) {
  auto losses = list.get<std::vector<double>>();
  if (losses.size() != n_heads)
    throw Error(std::string(name) + " has " + std::to_string(losses.size()) + " values; expected " +
                std::to_string(n_heads) + ", one a head");
  for (const double loss : losses)
    if (!(loss >= 0 && loss < 1e6)) throw Error(std::string(name) + " has a value that is no loss; expected 0 or more");
  return losses;
}

std::string read_file(const std::string& path) {
  std::optional<std::string> text = read_regular_file(path, max_file_bytes);
  if (!text) throw Error(ErrorKind::io, "there is no file " + path);
  return std::move(*text);
}

}  // namespace

std::string content_hash(std::string_view bytes) {
  Hash hash;
  hash.add(bytes);
  return hash.digest();
}

std::string model_fingerprint(const Model& model) {
  Hash hash;
  for (const auto& [key, value] : model.file().metadata()) {
    hash.add(key);
    hash.add_number(static_cast<uint64_t>(value.type));
    hash.add_number(static_cast<uint64_t>(value.element_type));
    hash.add_number(value.count);
    hash.add(value.bytes.data(), value.bytes.size());
  }
  for (const GgufFile::Tensor& tensor : model.file().tensors()) {
    hash.add(tensor.name);
    hash.add_number(tensor.ggml_type);
    for (const int64_t dim : tensor.dims) hash.add_number(static_cast<uint64_t>(dim));
    hash.add(tensor.bytes.data(), std::min(tensor.bytes.size(), hashed_tensor_bytes));
  }
  return hash.digest();
}

std::string calibration_text(const Calibration& calibration) {
  Json trials = Json::array();
  for (const CalibrationTrial& trial : calibration.trials)
    trials.push_back({{"score", token_score_name(trial.score)},
                      {"beta", trial.beta},
                      {"geometric_mean_kl", trial.geometric_mean_kl}});
  const Json object{
      {"headroom_calibration", format_version},
      {"version", calibration.version},
      {"model",
       {{"name", calibration.model_name},
        {"fingerprint", calibration.fingerprint},
        {"n_layers", calibration.n_layers},
        {"n_kv_heads", calibration.n_kv_heads}}},
      {"measured_on", texts_json(calibration.measured_on)},
      {"chosen_on", texts_json(calibration.chosen_on)},
      {"settings",
       {{"n_tokens", calibration.n_tokens},
        {"head_share", calibration.head_share},
        {"keeps", calibration.keeps},
        {"seed", calibration.seed}}},
      {"chosen", {{"score", token_score_name(calibration.score)}, {"beta", calibration.beta}}},
      {"trials", std::move(trials)},
      {"losses", {{"accumulated", calibration.accumulated_losses}, {"expected", calibration.expected_losses}}}};
  return object.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Calibration parse_calibration(std::string_view json, std::string_view where) {
  Calibration calibration;
  try {
    const Json object = Json::parse(json);
    const int version = read_int(object.at("headroom_calibration"));
    if (version != format_version)
      throw Error("its format is " + std::to_string(version) + "; expected " + std::to_string(format_version));
    calibration.version = object.at("version").get<std::string>();
    const Json& model = object.at("model");
    calibration.model_name = model.at("name").get<std::string>();
    calibration.fingerprint = model.at("fingerprint").get<std::string>();
    calibration.n_layers = read_int(model.at("n_layers"));
    calibration.n_kv_heads = read_int(model.at("n_kv_heads"));
    if (calibration.n_layers < 1 || calibration.n_layers > 4096 || calibration.n_kv_heads < 1 ||
        calibration.n_kv_heads > 4096)
      throw Error("it is of " + std::to_string(calibration.n_layers) + " layers of " +
                  std::to_string(calibration.n_kv_heads) + " KV heads; expected 1 to 4096 of each");
    calibration.measured_on = read_texts(object.at("measured_on"));
    calibration.chosen_on = read_texts(object.at("chosen_on"));
    const Json& settings = object.at("settings");
    calibration.n_tokens = read_int(settings.at("n_tokens"));
    calibration.head_share = settings.at("head_share").get<double>();
    calibration.keeps = settings.at("keeps").get<std::vector<double>>();
    calibration.seed = settings.at("seed").get<uint64_t>();
    calibration.score = read_score(object.at("chosen").at("score"));
    calibration.beta = read_beta(object.at("chosen").at("beta"));
    for (const Json& trial : object.at("trials"))
      calibration.trials.push_back(
          {read_score(trial.at("score")), read_beta(trial.at("beta")), trial.at("geometric_mean_kl").get<double>()});
    const auto n_heads = static_cast<size_t>(calibration.n_layers) * static_cast<size_t>(calibration.n_kv_heads);
    const Json& losses = object.at("losses");
    calibration.accumulated_losses = read_losses(losses.at("accumulated"), "losses.accumulated", n_heads);
    calibration.expected_losses = read_losses(losses.at("expected"), "losses.expected", n_heads);
  } catch (const Json::exception& error) {
    throw Error(std::string(where) + " is no calibration: " + error.what());
  } catch (const Error& error) {
    throw Error(std::string(where) + " is no calibration: " + error.what());
  }
  return calibration;
}

void check_calibration(const Calibration& calibration, const Model& model, std::string_view where) {
  const ModelConfig& config = model.config();
  if (calibration.n_layers != config.n_layers || calibration.n_kv_heads != config.n_kv_heads)
    throw Error(std::string(where) + " is the calibration of a model with " + std::to_string(calibration.n_layers) +
                " layers of " + std::to_string(calibration.n_kv_heads) + " KV heads; " + model.path() + " has " +
                std::to_string(config.n_layers) + " of " + std::to_string(config.n_kv_heads));
  const std::string fingerprint = model_fingerprint(model);
  if (calibration.fingerprint != fingerprint)
    throw Error(std::string(where) + " is the calibration of another model, " + calibration.model_name +
                " (fingerprint " + calibration.fingerprint + "); expected that of " + model.path() + " (" +
                fingerprint + ")");
}

std::string calibration_path(const Model& model) {
  return config_folder() + "/calibration/" + model_fingerprint(model) + ".json";
}

std::optional<Calibration> find_calibration(const Model& model) {
  const std::string fingerprint = model_fingerprint(model);
  const std::string path = config_folder() + "/calibration/" + fingerprint + ".json";
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    Calibration calibration = parse_calibration(read_file(path), path);
    check_calibration(calibration, model, path);
    return calibration;
  }
  for (const BuiltinFile& file : builtin_calibrations()) {
    if (file.text.find(fingerprint) == std::string_view::npos) continue;
    Calibration calibration = parse_calibration(file.text, file.name);
    if (calibration.fingerprint == fingerprint) return calibration;
  }
  return std::nullopt;
}

CacheConfig with_calibration(CacheConfig config, const Calibration& calibration) {
  const std::vector<double>& losses = calibration.losses();
  const double mean =
      std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(std::max<size_t>(losses.size(), 1));
  config.score = calibration.score;
  config.beta = calibration.beta;
  config.head_importance.clear();
  for (const double loss : losses) config.head_importance.push_back(static_cast<float>(mean > 0 ? loss / mean : 1));
  return config;
}

ResolvedConfig resolve_config(CacheConfig config, const Model& model) {
  if (config.importance != ImportanceKind::calibrated || !config.head_importance.empty()) return {config, ""};
  if (!config.calibration_file.empty()) {
    const Calibration calibration = parse_calibration(read_file(config.calibration_file), config.calibration_file);
    check_calibration(calibration, model, config.calibration_file);
    return {with_calibration(std::move(config), calibration), ""};
  }
  try {
    if (const std::optional<Calibration> calibration = find_calibration(model))
      return {with_calibration(std::move(config), *calibration), ""};
    config.score = TokenScore::accumulated;  // whatever the table of another model chose
    config.beta = 0;
  } catch (const Error& error) {
    config.score = TokenScore::accumulated;
    config.beta = 0;
    return {config, std::string(error.what()) +
                        "; all heads count alike until it is measured again: headroom calibrate -m " + model.path()};
  }
  return {config, "this model has no calibration, so all heads count alike; `headroom calibrate -m " + model.path() +
                      "` measures it once, and the same memory then costs less quality"};
}

CacheConfig default_chat_config(const Model& model) {
  const CacheConfig headroom = *find_cache_config("headroom");
  try {
    const std::optional<Calibration> calibration = find_calibration(model);
    return calibration ? with_calibration(headroom, *calibration) : *find_cache_config("paper");
  } catch (const Error&) {
    return headroom;  // resolve_config tells what is wrong with the table
  }
}

}  // namespace headroom
