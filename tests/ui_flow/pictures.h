// Pictures of a Stage, with the checks that hold for each of them: letters are drawn, no text is cut off or over
// another. The pictures go to the folder HEADROOM_PICTURES, where it is set, to be looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/ui_flow/stage.h"

namespace headroom::test {

constexpr int n_settling_frames = 8;

struct PictureSize {
  int width, height;
  float scale;
};
constexpr PictureSize picture_sizes[] = {{1280, 800, 1}, {2560, 1440, 2}};

/// Empty where pictures can be drawn here.
std::string why_no_pictures();
/// `what` is named with each fault.
void check_texts(Stage& stage, const std::string& what);
/// The last frame as a file, without checks.
void keep_picture(const Stage& stage, OffscreenHost& host, const std::string& name);
/// Frames until everything stands; then the texts are checked and the picture is taken.
std::vector<uint8_t> take_picture(Stage& stage, const std::string& name);

}  // namespace headroom::test
