// Metadata of a GGUF file ─► short text for people and JSON for programs. Also works for files that the engine cannot
// run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/model/gguf.h"

namespace headroom {

/// One line, harmless in a terminal; long strings and arrays are shortened: "[151936 strings: "!", "\"", …]".
std::string value_text(const GgufValue& value);
/// Like value_text, plus the name behind a numeric value if the key defines one: "15 (Q4_K_M)".
std::string entry_text(std::string_view key, const GgufValue& value);

/// The value; an array longer than 16 elements becomes {"type", "count", "first": [16 elements]}.
nlohmann::ordered_json value_json(const GgufValue& value);

}  // namespace headroom
