// `headroom tokenize`: bytes on standard input ─► token ids. Needs a vocabulary, not a whole model.
#include <nlohmann/json.hpp>
#include <ostream>

#include "app/commands.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/text_input.h"
#include "engine/model/gguf.h"
#include "engine/model/model_file.h"
#include "engine/text/tokenizer.h"

namespace headroom {

void tokenize_command(const Arguments& args, Console& io) {
  CommonOptions common;
  bool no_bos = false;
  bool special = false;
  CommandLine line("tokenize", "Text on standard input, byte for byte, to token ids.",
                   "  printf 'Hello world' | headroom tokenize\n"
                   "  headroom tokenize -m ggml-vocab-llama-bpe.gguf --no-bos --json < text.txt");
  line.begin_group("Text");
  line.add_flag("--no-bos", "leave out the token that the model puts in front", no_bos);
  line.add_flag("--special", "control-token text becomes control tokens", special);
  common.add_to(line);
  line.parse(args, io);

  const GgufFile file = GgufFile::open(common.model_path());
  const Tokenizer tokenizer(read_vocab(file));
  const std::string text = read_text("-", io);
  const TextPart part{text, special};
  Encoding encoding = tokenizer.encode_parts({&part, 1});
  std::vector<TokenId>& ids = encoding.ids;
  if (const size_t n = encoding.left_out.size(); n > 0)
    io.err << "the vocabulary has no token for " << n << (n == 1 ? " byte" : " bytes")
           << " of the text, left out; the first is at byte " << encoding.left_out.front() << std::endl;
  const Vocab& vocab = tokenizer.vocab();
  const bool has_bos = !ids.empty() && ids.front() == vocab.bos_id;
  if (!no_bos && vocab.add_bos && vocab.bos_id >= 0 && !has_bos) ids.insert(ids.begin(), vocab.bos_id);

  if (common.json) {
    io.out << json_line({{"ids", ids}});
    return;
  }
  for (size_t i = 0; i < ids.size(); ++i) io.out << (i == 0 ? "" : " ") << ids[i];
  io.out << "\n";
}

}  // namespace headroom
