// Uses portable-file-dialogs, which finds the desktop's dialog program. See file_dialog.h.
#include "app/window/file_dialog.h"

#include <portable_file_dialogs.h>

#include <optional>

namespace headroom {

struct FileDialog::Impl {
  std::optional<pfd::open_file> dialog;
};

FileDialog::FileDialog() : impl_(std::make_unique<Impl>()) {}

FileDialog::~FileDialog() {
  if (impl_->dialog) impl_->dialog->kill();  // otherwise its destructor would wait for an answer
}

bool FileDialog::open() {
  if (!pfd::settings::available()) return false;
  if (!impl_->dialog)
    impl_->dialog.emplace("Open a model, a recording or a text", "",
                          std::vector<std::string>{"Models and recordings", "*.gguf *.hrtrace", "All", "*"});
  return true;
}

std::string FileDialog::take() {
  if (!impl_->dialog || !impl_->dialog->ready(0)) return "";
  const std::vector<std::string> files = impl_->dialog->result();
  impl_->dialog.reset();
  return files.empty() ? "" : files.front();
}

}  // namespace headroom
