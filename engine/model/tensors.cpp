// GGUF tensors ─► every weight by its role, with its shape checked against the config. Also load_model_file, which
// combines file, config, vocabulary and tensors. This is the last step before a backend loads the weights.
#include <unordered_set>

#include "engine/model/model_file.h"
#include "engine/model/refusal.h"
#include "engine/model/type_names.h"

namespace headroom {
namespace {

std::string shape_text(const std::vector<int64_t>& dims) {
  std::string text = "shape (";
  for (size_t i = dims.size(); i-- > 0;) text += std::to_string(dims[i]) + (i > 0 ? ", " : ")");
  return text;
}

// Returns tensors by name and remembers which were used, so that unused ones can be refused.
class TensorPicker {
 public:
  explicit TensorPicker(const GgufFile& file) : file_(file) {}

  TensorView matrix(const std::string& name, int64_t n_rows, int64_t n_cols) {
    return pick(name, {n_cols, n_rows}, false);
  }

  /// A norm or a bias. It must be F32, as all converters write it.
  TensorView vector(const std::string& name, int64_t n) { return pick(name, {n}, true); }

  std::optional<TensorView> vector(const std::string& name, int64_t n, Presence presence) {
    if (presence == Presence::none || (presence == Presence::optional && !has(name))) return std::nullopt;
    return vector(name, n);
  }

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  void mark_as_used(const std::string& name) { used_.insert(name); }

  /// Throws Error for unused tensors: the program that made the file would compute something else with them.
  void refuse_leftovers(const ArchitectureTraits& architecture) const {
    for (const GgufFile::Tensor& tensor : file_.tensors()) {
      if (used_.count(tensor.name) != 0) continue;
      // An image encoder in the same file does not affect text.
      const bool is_of_images = tensor.name.compare(0, 2, "v.") == 0 || tensor.name.compare(0, 3, "mm.") == 0;
      if (is_of_images && architecture.may_hold_images) continue;
      refuse_unsupported(file_.path(), "tensor " + quoted(tensor.name), "an unknown tensor",
                         "only the weights of its architecture");
    }
  }

 private:
  TensorView pick(const std::string& name, std::vector<int64_t> dims, bool must_be_f32) {
    const GgufFile::Tensor* tensor = file_.find_tensor(name);
    const std::string field = "tensor " + quoted(name);
    if (tensor == nullptr) refuse(file_.path(), field, "none", shape_text(dims));
    std::vector<int64_t> found = tensor->dims;
    while (found.size() > dims.size() && found.back() == 1) found.pop_back();
    if (found != dims) refuse(file_.path(), field, shape_text(tensor->dims), shape_text(dims));
    const auto type = static_cast<TensorType>(tensor->ggml_type);
    if (must_be_f32 && type != TensorType::f32)
      refuse_unsupported(file_.path(), field, "type " + tensor_type_name(tensor->ggml_type), "F32");
    if (find_type_traits(tensor->ggml_type) == nullptr)
      refuse_unsupported(file_.path(), field, "type " + tensor_type_name(tensor->ggml_type), expected_matrix_types());
    used_.insert(name);
    return {
        .name = name, .type = type, .n_cols = dims[0], .n_rows = dims.size() > 1 ? dims[1] : 1, .data = tensor->bytes};
  }

  const GgufFile& file_;
  std::unordered_set<std::string> used_;
};

LayerTensors pick_layer(TensorPicker& picker, const ModelConfig& config, int32_t index) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  LayerTensors layer;
  layer.attn_norm = picker.vector(prefix + "attn_norm.weight", config.n_embd);
  layer.attn_q = picker.matrix(prefix + "attn_q.weight", config.q_dim(), config.n_embd);
  layer.attn_k = picker.matrix(prefix + "attn_k.weight", config.kv_dim(), config.n_embd);
  layer.attn_v = picker.matrix(prefix + "attn_v.weight", config.kv_dim(), config.n_embd);
  const Presence qkv_bias = config.traits().qkv_bias;
  layer.attn_q_bias = picker.vector(prefix + "attn_q.bias", config.q_dim(), qkv_bias);
  layer.attn_k_bias = picker.vector(prefix + "attn_k.bias", config.kv_dim(), qkv_bias);
  layer.attn_v_bias = picker.vector(prefix + "attn_v.bias", config.kv_dim(), qkv_bias);
  layer.attn_output = picker.matrix(prefix + "attn_output.weight", config.n_embd, config.q_dim());
  layer.ffn_norm = picker.vector(prefix + "ffn_norm.weight", config.n_embd);
  layer.ffn_gate = picker.matrix(prefix + "ffn_gate.weight", config.n_ff, config.n_embd);
  layer.ffn_up = picker.matrix(prefix + "ffn_up.weight", config.n_ff, config.n_embd);
  layer.ffn_down = picker.matrix(prefix + "ffn_down.weight", config.n_embd, config.n_ff);
  if (config.traits().has_qk_norms) {
    layer.attn_q_norm = picker.vector(prefix + "attn_q_norm.weight", config.head_dim);
    layer.attn_k_norm = picker.vector(prefix + "attn_k_norm.weight", config.head_dim);
  }
  if (config.traits().has_post_norms) {
    layer.post_attention_norm = picker.vector(prefix + "post_attention_norm.weight", config.n_embd);
    layer.post_ffw_norm = picker.vector(prefix + "post_ffw_norm.weight", config.n_embd);
  }
  return layer;
}

ModelTensors pick_tensors(const GgufFile& file, const ModelConfig& config) {
  TensorPicker picker(file);
  ModelTensors tensors;
  tensors.token_embd = picker.matrix("token_embd.weight", config.n_vocab, config.n_embd);
  tensors.output_norm = picker.vector("output_norm.weight", config.n_embd);
  tensors.output =
      picker.has("output.weight") ? picker.matrix("output.weight", config.n_vocab, config.n_embd) : tensors.token_embd;
  for (int32_t layer = 0; layer < config.n_layers; ++layer) tensors.layers.push_back(pick_layer(picker, config, layer));
  if (!config.rope_factors.empty()) picker.mark_as_used("rope_freqs.weight");
  picker.refuse_leftovers(config.traits());
  return tensors;
}

}  // namespace

ModelFile load_model_file(GgufFile file) {
  if (file.tensors().empty())
    refuse(file.path(), "tensor count", "0 (a vocabulary-only file)", "the tensors of a model");
  ModelConfig config = read_model_config(file);
  Vocab vocab = read_vocab(file);
  ModelTensors tensors = pick_tensors(file, config);
  file.check_still_whole();
  return {std::move(file), std::move(config), std::move(vocab), std::move(tensors)};
}

ModelFile load_model_file(const std::string& path) {
  return load_model_file(GgufFile::open(path));
}

}  // namespace headroom
