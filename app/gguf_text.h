// Metadata and tensor types of a GGUF file ─► short text for people and JSON for programs. Works for files that no
// engine here can run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/model/gguf.h"

namespace headroom {

/// One line, harmless in a terminal; long strings and arrays are shortened: "[151936 strings: "!", "\"", …]".
std::string value_text(const GgufValue& value);

/// The value; of an array longer than 16 elements {"type", "count", "first": [16 elements]}.
nlohmann::ordered_json value_json(const GgufValue& value);

/// "Q4_K"; "type 77" for a number without a known name.
std::string tensor_type_name(uint32_t ggml_type);

}  // namespace headroom
