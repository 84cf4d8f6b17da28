// A report ─► aligned tables for a terminal, and rows as comma-separated values.
#pragma once

#include <string>

#include "app/eval/report.h"

namespace headroom::eval {

std::string report_text(const Report& report);

/// One line per row of any kind; columns are the keys of all rows, in the order of their first appearance (RFC 4180).
std::string report_csv(const Report& report);

/// "paper T 0.9": the name of a configuration in tables and plots.
std::string cell_name(const Json& row);

}  // namespace headroom::eval
