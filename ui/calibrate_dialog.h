// Which command makes a model's table of importance, in a window over the others. Calibration runs outside: it takes
// minutes and is done once a model. Knows no engine.
#pragma once

#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"

namespace headroom {

/// "headroom calibrate -m MODEL", as a shell takes it.
std::string calibrate_command(const std::string& model_path);

/// The button that opens it, and the window while it is open. A model must be open.
void draw_calibrate_button(const Mirror& mirror, Actions& actions);

}  // namespace headroom
