// Mostly random weights. Two of the embedding's values are not random: value 0 is the same for every token, and value 1
// marks control tokens and punctuation. The Q and K matrices use both: one KV head attends to its neighbours, the next
// to marked tokens, the next to content. FastGen then finds heads that differ.
#include "tests/support/tiny_model.h"

#include <cassert>
#include <cctype>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>

namespace headroom::test {
namespace {

// Normal deviates that are the same with every standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  float normal(double deviation) {
    const double u = (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53;
    const double angle = static_cast<double>(engine_() >> 11) * 0x1p-53 * 2 * std::numbers::pi;
    return static_cast<float>(deviation * std::sqrt(-2 * std::log(u)) * std::cos(angle));
  }

 private:
  std::mt19937_64 engine_;
};

std::string utf8(uint32_t code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3f))};
}

// GPT-2's spelling of a byte as a visible character: printable Latin-1 as itself, the other bytes as U+0100 and up.
std::string gpt2_spelling(uint32_t byte) {
  const auto visible = [](uint32_t b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  if (visible(byte)) return utf8(byte);
  uint32_t n_invisible_before = 0;
  for (uint32_t b = 0; b < byte; ++b) n_invisible_before += visible(b) ? 0 : 1;
  return utf8(0x100 + n_invisible_before);
}

constexpr int32_t normal_token = 1, unknown_token = 2, control_token = 3, user_token = 4, byte_token = 6;

struct TokenList {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  int32_t add(const std::string& text, int32_t type) {
    tokens.push_back(text);
    types.push_back(type);
    return static_cast<int32_t>(tokens.size()) - 1;
  }
};

TokenList set_bpe_vocab(GgufWriter& writer, bool small) {
  TokenList list;
  std::vector<std::string> merges;
  const auto merge = [&](const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    list.add(left + right, normal_token);
  };
  if (small) {
    for (const char* letter : {"a", "b", "!"}) list.add(letter, normal_token);
    merge("a", "b");
  } else {
    for (uint32_t byte = 0; byte < 256; ++byte) list.add(gpt2_spelling(byte), normal_token);
    const std::string space = gpt2_spelling(' ');
    merge(space, "t"), merge("h", "e"), merge(space + "t", "he"), merge("i", "n"), merge("e", "r"), merge(space, "a");
    merge(space + "a", "n"), merge("o", "n"), merge("i", "s"), merge(space, "is"), merge(".", "."), merge("..", ".");
  }
  const int32_t bos = list.add("<|endoftext|>", control_token);
  list.add("<|im_start|>", control_token);
  const int32_t eos = list.add("<|im_end|>", control_token);
  writer.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "gpt-2");
  writer.set("tokenizer.ggml.tokens", list.tokens).set("tokenizer.ggml.token_type", list.types);
  writer.set("tokenizer.ggml.merges", merges);
  writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos));
  writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  writer.set("tokenizer.ggml.add_bos_token", false);
  return list;
}

TokenList set_sentencepiece_vocab(GgufWriter& writer, bool small) {
  TokenList list;
  list.add("<pad>", control_token);
  const int32_t eos = list.add("<eos>", control_token), bos = list.add("<bos>", control_token);
  const int32_t unknown = list.add("<unk>", unknown_token);
  const std::string space = "\u2581";
  if (!small) {
    list.add("<start_of_turn>", control_token);
    list.add("<end_of_turn>", control_token);
    list.add("\n", user_token);
    list.add("\n\n", user_token);
    const std::string digits = "0123456789ABCDEF";
    for (uint32_t byte = 0; byte < 256; ++byte)
      list.add(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">", byte_token);
    for (char letter = '!'; letter <= '~'; ++letter) list.add(std::string(1, letter), normal_token);
    list.add(space, normal_token);
  }
  for (const char* piece : {"t", "th", "the", "a", "an", "is"}) {
    if (!small || std::string(piece) == "a") list.add(space + piece, normal_token);
  }
  for (const char* piece : {"th", "he", "the", "in", "er", "on", "is", "an", ".."}) {
    if (!small || std::string(piece) == "he") list.add(piece, normal_token);
  }
  // In real files a token that was merged earlier has a better score; here the score falls with the id.
  std::vector<float> scores;
  for (size_t id = 0; id < list.tokens.size(); ++id)
    scores.push_back(list.types[id] == normal_token ? -static_cast<float>(id) : 0.0f);
  writer.set("tokenizer.ggml.model", "llama").set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", list.tokens).set("tokenizer.ggml.token_type", list.types);
  writer.set("tokenizer.ggml.scores", scores);
  writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos));
  writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  writer.set("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(unknown));
  writer.set("tokenizer.ggml.padding_token_id", uint32_t{0});
  writer.set("tokenizer.ggml.add_bos_token", true).set("tokenizer.ggml.add_space_prefix", false);
  return list;
}

// Rounds to nearest; enough for values below 65504, which all weights here are.
uint16_t to_f16(float value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const float size = std::fabs(value);
  if (size < 0x1p-14f) return static_cast<uint16_t>(sign | std::lrint(size * 0x1p24f));
  int exponent = 0;
  const float fraction = std::frexp(size, &exponent);
  return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + std::lrint((fraction * 2 - 1) * 1024)));
}

Bytes convert(const std::vector<float>& values, TensorType type) {
  Bytes bytes;
  if (type == TensorType::f32) {
    for (const float value : values) append(bytes, value);
  } else if (type == TensorType::f16) {
    for (const float value : values) append(bytes, to_f16(value));
  } else {
    assert(type == TensorType::q8_0 && values.size() % 32 == 0);
    for (size_t begin = 0; begin < values.size(); begin += 32) {
      float largest = 0;
      for (size_t i = begin; i < begin + 32; ++i) largest = std::max(largest, std::fabs(values[i]));
      const float scale = largest > 0 ? largest / 127 : 1;
      append(bytes, to_f16(scale));
      for (size_t i = begin; i < begin + 32; ++i) append(bytes, static_cast<int8_t>(std::lrint(values[i] / scale)));
    }
  }
  return bytes;
}

class Weights {
 public:
  Weights(GgufWriter& writer, const TinyModelOptions& options)
      : writer_(writer), options_(options), random_(options.seed) {}

  void add_embedding(const std::string& name, const TokenList& list) {
    const double deviation = 1 / std::sqrt(options_.n_embd);
    matrix(name, static_cast<int32_t>(list.tokens.size()), options_.n_embd, [&](int32_t token, int32_t column) {
      if (column == 0) return static_cast<float>(deviation);
      if (column == 1) return static_cast<float>(is_marked(list, token) ? 1.5 * deviation : 0);
      return random_.normal(deviation);
    });
  }

  void add_layer(int32_t layer) {
    const TinyModelOptions& o = options_;
    const ArchitectureTraits& traits = architecture_traits(o.architecture);
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const int32_t q_dim = o.n_heads * o.head_dim, kv_dim = o.n_kv_heads * o.head_dim;
    // With a post norm the norm's gain sets the size of a block's output, so the matrices need no scaling.
    const double write = traits.has_post_norms ? 1 : 0.5 / std::sqrt(o.n_embd);
    gains(prefix + "attn_norm.weight", o.n_embd, 1);
    query_or_key(prefix + "attn_q.weight", layer, o.n_heads);
    query_or_key(prefix + "attn_k.weight", layer, o.n_kv_heads);
    random_matrix(prefix + "attn_v.weight", kv_dim, o.n_embd, 1);
    if (traits.qkv_bias == Presence::required) {
      biases(prefix + "attn_q.bias", q_dim, 0.3);
      biases(prefix + "attn_k.bias", kv_dim, 0.3);
      biases(prefix + "attn_v.bias", kv_dim, 0.1);
    }
    random_matrix(prefix + "attn_output.weight", o.n_embd, q_dim, 2 * write);
    gains(prefix + "ffn_norm.weight", o.n_embd, 1);
    random_matrix(prefix + "ffn_gate.weight", o.n_ff, o.n_embd, 1.5);
    random_matrix(prefix + "ffn_up.weight", o.n_ff, o.n_embd, 1);
    random_matrix(prefix + "ffn_down.weight", o.n_embd, o.n_ff, write);
    if (traits.has_qk_norms) {
      gains(prefix + "attn_q_norm.weight", o.head_dim, 1.2);
      gains(prefix + "attn_k_norm.weight", o.head_dim, 1.2);
    }
    if (traits.has_post_norms) {
      gains(prefix + "post_attention_norm.weight", o.n_embd, 0.8);
      gains(prefix + "post_ffw_norm.weight", o.n_embd, 0.8);
    }
  }

  void gains(const std::string& name, int32_t n, double mean) {
    std::vector<float> values;
    for (int32_t i = 0; i < n; ++i) values.push_back(static_cast<float>(mean) + random_.normal(0.1 * mean));
    writer_.set_tensor(name, {static_cast<uint64_t>(n)}, values);
  }

  // gain: the deviation of the outputs for inputs of deviation 1.
  void random_matrix(const std::string& name, int32_t n_rows, int32_t n_cols, double gain) {
    matrix(name, n_rows, n_cols, [&](int32_t, int32_t) { return random_.normal(gain / std::sqrt(n_cols)); });
  }

 private:
  static bool is_marked(const TokenList& list, int32_t token) {
    const std::string& text = list.tokens[token];
    return list.types[token] == control_token ||
           (text.size() == 1 && std::ispunct(static_cast<unsigned char>(text[0])));
  }

  void biases(const std::string& name, int32_t n, double deviation) {
    std::vector<float> values;
    for (int32_t i = 0; i < n; ++i) values.push_back(random_.normal(deviation));
    writer_.set_tensor(name, {static_cast<uint64_t>(n)}, values);
  }

  void query_or_key(const std::string& name, int32_t layer, int32_t n_heads) {
    const int32_t head_dim = options_.head_dim, n_pairs = head_dim / 2;
    const bool is_key = name.find("attn_k") != std::string::npos;
    const bool interleaved = architecture_traits(options_.architecture).rope_style == RopeStyle::interleaved;
    matrix(name, n_heads * head_dim, options_.n_embd, [&](int32_t row, int32_t column) {
      const int32_t head = row / head_dim, r = row % head_dim;
      const int32_t kv_head = head * options_.n_kv_heads / n_heads;
      const int32_t kind = (layer * options_.n_kv_heads + kv_head) % 3;
      const int32_t pair = interleaved ? r / 2 : r % n_pairs;
      const bool first_of_pair = interleaved ? r % 2 == 0 : r < n_pairs;
      // Query heads of a group have the same preference, at different strengths.
      const double strength = is_key ? 1 : 0.8 + 0.4 * head / n_heads;
      if (kind == 1 && column == 0 && first_of_pair) return static_cast<float>(2 * strength);  // q . k falls with i - j
      if (kind == 2 && column == (is_key ? 1 : 0) && first_of_pair &&
          2 * pair >= n_pairs)  // RoPE pairs with low frequencies
        return static_cast<float>(1.8 * strength);
      if (column < 2) return 0.0f;
      return random_.normal((kind == 0 ? 1.8 : 0.9) * strength / std::sqrt(options_.n_embd));
    });
  }

  void matrix(const std::string& name, int32_t n_rows, int32_t n_cols,
              const std::function<float(int32_t, int32_t)>& value_at) {
    std::vector<float> values;
    for (int32_t row = 0; row < n_rows; ++row)
      for (int32_t column = 0; column < n_cols; ++column) values.push_back(value_at(row, column));
    writer_.set_tensor_raw(name, {static_cast<uint64_t>(n_cols), static_cast<uint64_t>(n_rows)},
                           static_cast<uint32_t>(options_.matrix_type), convert(values, options_.matrix_type));
  }

  GgufWriter& writer_;
  const TinyModelOptions& options_;
  Random random_;
};

void set_config(GgufWriter& writer, const TinyModelOptions& options) {
  const ArchitectureTraits& traits = architecture_traits(options.architecture);
  const std::string name(traits.name);
  const auto set = [&](const char* key, int32_t value) { writer.set(name + key, static_cast<uint32_t>(value)); };
  writer.set("general.architecture", name).set("general.name", "tiny " + name);
  set(".context_length", options.n_ctx);
  set(".embedding_length", options.n_embd);
  set(".block_count", options.n_layers);
  set(".feed_forward_length", options.n_ff);
  set(".attention.head_count", options.n_heads);
  set(".attention.head_count_kv", options.n_kv_heads);
  set(".attention.key_length", options.head_dim);
  set(".attention.value_length", options.head_dim);
  set(".rope.dimension_count", options.head_dim);
  writer.set(name + ".attention.layer_norm_rms_epsilon", 1e-6f).set(name + ".rope.freq_base", 10000.0f);
  if (traits.window_rule == WindowRule::five_of_six) {
    writer.set(name + ".rope.freq_base", 100000.0f);
    set(".attention.sliding_window", options.window);
    set(".attention.sliding_window_pattern", options.window_pattern);
  }
}

constexpr const char* chatml_template =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

constexpr const char* gemma_template =
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' "
    "else message['role']) + '\\n' + message['content'] + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

}  // namespace

TinyModelOptions tiny_model_options(Architecture architecture) {
  TinyModelOptions options{.architecture = architecture};
  if (architecture == Architecture::gemma3) {
    options.n_layers = 3;
    options.head_dim = 24;
    options.window = 24;
    options.window_pattern = 2;
    options.tied_output = true;
    options.sentencepiece = true;
  }
  return options;
}

TinyModelOptions smallest_model_options(Architecture architecture) {
  TinyModelOptions options = tiny_model_options(architecture);
  options.n_layers = 1;
  options.n_embd = 8;
  options.n_heads = 2;
  options.n_kv_heads = 1;
  options.head_dim = options.sentencepiece ? 6 : 4;
  options.n_ff = 8;
  options.small_vocab = true;
  return options;
}

GgufWriter make_tiny_model(const TinyModelOptions& options) {
  GgufWriter writer;
  set_config(writer, options);
  const TokenList list = options.sentencepiece ? set_sentencepiece_vocab(writer, options.small_vocab)
                                               : set_bpe_vocab(writer, options.small_vocab);
  if (options.chat_template)
    writer.set("tokenizer.chat_template", options.sentencepiece ? gemma_template : chatml_template);
  Weights weights(writer, options);
  weights.add_embedding("token_embd.weight", list);
  for (int32_t layer = 0; layer < options.n_layers; ++layer) weights.add_layer(layer);
  weights.gains("output_norm.weight", options.n_embd, 3);
  if (!options.tied_output)
    weights.random_matrix("output.weight", static_cast<int32_t>(list.tokens.size()), options.n_embd, 1);
  if (options.rope_factors) {
    std::vector<float> factors;
    for (int32_t i = 0; i < options.head_dim / 2; ++i) factors.push_back(1 + 0.5f * static_cast<float>(i));
    writer.set_tensor("rope_freqs.weight", {factors.size()}, factors);
  }
  return writer;
}

}  // namespace headroom::test
