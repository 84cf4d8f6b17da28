// `headroom chats`: a chat database, whole or damaged ─► its conversations as text, or one JSON object. The file is
// read page by page and not changed. It can also read a file that a window set aside as ….damaged-1.
#include <nlohmann/json.hpp>
#include <ostream>

#include "app/chats/chat_store.h"
#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

const char* name_of(MessageState state) {
  constexpr const char* names[] = {"complete", "streaming", "stopped", "failed"};
  return names[static_cast<size_t>(state)];
}

/// In a terminal, control characters of a message are made harmless; a file receives the bytes unchanged.
std::string shown(const std::string& content, const Console& io) {
  if (!io.out_is_terminal) return content;
  std::string text;
  for (size_t begin = 0; begin <= content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    text += (begin > 0 ? "\n" : "") + printable(content.substr(begin, end - begin));
    begin = end + 1;
  }
  return text;
}

nlohmann::ordered_json as_json(const StoredMessage& message) {
  return {{"role", message.role},
          {"content", message.content},
          {"state", name_of(message.state)},
          {"created_ms", message.created_ms},
          {"n_versions", message.versions.size()}};
}

}  // namespace

void chats_command(const Arguments& args, Console& io) {
  std::optional<std::string> path;
  bool json = false;
  CommandLine line("chats",
                   "The conversations of a chat database as text; also of a damaged one, which is not changed.",
                   "  headroom chats > my-chats.md\n"
                   "  headroom chats ~/.local/share/headroom/chats.sqlite.damaged-1");
  line.begin_group("Chats");
  line.add_positional("FILE", "the database (default: that of the window)", path);
  line.add_flag("--json", "one JSON object on standard output", json);
  line.parse(args);

  ChatStore store = ChatStore::read_what_is_left(path.value_or(data_folder() + "/chats.sqlite"));
  nlohmann::ordered_json chats = nlohmann::ordered_json::array();
  for (const ChatSummary& chat : store.list()) {
    if (!json) io.out << "# " << printable(chat.title) << "\n\n";
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    for (const StoredMessage& message : store.messages(chat.id)) {
      if (json)
        messages.push_back(as_json(message));
      else
        io.out << (message.role == "user" ? "## You\n\n" : "## Answer\n\n") << shown(message.content, io) << "\n\n";
    }
    chats.push_back({{"title", chat.title}, {"updated_ms", chat.updated_ms}, {"messages", messages}});
  }
  if (json) io.out << json_line({{"chats", chats}});
  io.err << store.note() << std::endl;
}

}  // namespace headroom
