// A dialog that shows the command which makes a model's calibration table. Calibration runs outside of the program: it
// takes minutes and is done once per model. Knows no engine.
#pragma once

#include <string>

#include "engine/telemetry/mirror.h"
#include "ui/actions.h"

namespace headroom {

/// "headroom calibrate -m MODEL", quoted for a shell.
std::string calibrate_command(const std::string& model_path);

/// Draws the button that opens the dialog, and the dialog while it is open. A model must be open.
void draw_calibrate_button(const Mirror& mirror, Actions& actions);

}  // namespace headroom
