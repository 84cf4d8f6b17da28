// The desktop's own file dialog. It is a separate program (zenity, kdialog …) that runs while the window stays usable.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace headroom {

class FileDialog {
 public:
  FileDialog();
  ~FileDialog();
  /// Opens the dialog for a file, unless one is open. False if the desktop has no such program.
  bool open();
  /// Returns the chosen file once; empty if none was chosen yet.
  std::string take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
