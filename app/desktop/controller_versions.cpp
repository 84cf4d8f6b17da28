// Versions of an answer: which one is shown, and the change to another one. A part of the Controller: each version
// hangs in the store together with what followed it, and one that the store refused is kept here
// (Message::unsaved_versions).
#include <algorithm>
#include <iterator>

#include "app/desktop/controller.h"
#include "engine/base/error.h"

namespace headroom {

int32_t Controller::Message::n_versions() const {
  return std::max(1, static_cast<int32_t>(versions.size() + unsaved_versions.size()));
}

/// Those of the store come first.
int32_t Controller::Message::version() const {
  if (unsaved_place >= 0) return static_cast<int32_t>(versions.size()) + unsaved_place;
  const auto found = std::find(versions.begin(), versions.end(), id);
  return found == versions.end() ? 0 : static_cast<int32_t>(found - versions.begin());
}

void Controller::choose_version(int64_t message, int32_t version) {
  refresh();
  if (view_.is_read_only || view_.is_busy) return;
  const auto found = std::find_if(view_.messages.begin(), view_.messages.end(),
                                  [&](const TranscriptMessage& shown) { return shown.id == message; });
  if (found == view_.messages.end() || version < 0 || version >= found->n_versions || version == found->version) return;
  const auto index = static_cast<size_t>(found - view_.messages.begin());
  // What could not be saved is tried again, so that nothing hangs on the version that is left.
  store_messages("save the chat");
  if (!swap_version(index, version)) return;
  // The engine goes back with the next message to where both versions are the same.
  show_messages();
  refresh();
}

/// False, and a banner, where it cannot be done: then everything is as it was.
bool Controller::swap_version(size_t index, int32_t version) {
  const auto begin = messages_.begin() + static_cast<std::ptrdiff_t>(index);
  std::vector<std::vector<Message>> unsaved = std::move(begin->unsaved_versions);
  const int32_t place = begin->unsaved_place;
  const std::vector<int64_t> versions = begin->versions;
  const auto n_stored = static_cast<int32_t>(versions.size());
  const bool tail_is_stored = std::all_of(
      begin, messages_.end(), [](const Message& message) { return message.id != 0 && message.is_finished_in_store; });
  const auto take_branch = [&] {
    std::vector<Message> branch(std::make_move_iterator(begin), std::make_move_iterator(messages_.end()));
    messages_.erase(begin, messages_.end());
    return branch;
  };
  bool is_done = place >= 0 || tail_is_stored;
  if (!is_done) {
    add_banner(Banner::Kind::warning,
               "This version stays: what follows it could not be saved and would be lost with it.");
  } else if (version < n_stored && store_->read_only()) {
    is_done = false;
    add_banner(Banner::Kind::warning, "The other version cannot be chosen: " + store_->note());
  } else if (version < n_stored) {
    is_done = with_store("go to the other version", [&] {
      store_->choose_version(view_.open_chat, versions[static_cast<size_t>(version)]);
      std::vector<Message> stored = read_messages(view_.open_chat);
      if (index >= stored.size()) throw Error(ErrorKind::io, "it is not in the database");
      std::vector<Message> left = take_branch();
      if (place >= 0) unsaved[static_cast<size_t>(place)] = std::move(left);
      messages_.insert(messages_.end(), std::make_move_iterator(stored.begin() + static_cast<std::ptrdiff_t>(index)),
                       std::make_move_iterator(stored.end()));
      messages_[index].unsaved_versions = std::move(unsaved);
    });
    if (is_done) return true;
  } else {
    std::vector<Message> left = take_branch();
    if (place >= 0) unsaved[static_cast<size_t>(place)] = std::move(left);
    const int32_t next = version - n_stored;
    std::vector<Message> branch = std::move(unsaved[static_cast<size_t>(next)]);
    unsaved[static_cast<size_t>(next)].clear();
    messages_.insert(messages_.end(), std::make_move_iterator(branch.begin()), std::make_move_iterator(branch.end()));
    messages_[index].versions = versions;
    messages_[index].unsaved_versions = std::move(unsaved);
    messages_[index].unsaved_place = next;
    return true;
  }
  messages_[index].unsaved_versions = std::move(unsaved);
  return false;
}

}  // namespace headroom
