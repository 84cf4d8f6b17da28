// The desktop's own file dialog. It is another program (zenity, kdialog …) that runs beside the window.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace headroom {

class FileDialog {
 public:
  FileDialog();
  ~FileDialog();
  /// Opens the dialog for a file, unless one is open. False where the desktop has no such program.
  bool open();
  /// The file that was chosen, once; empty while nothing was.
  std::string take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
