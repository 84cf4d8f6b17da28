// The interactive chat: commands, turns, and what happens when a turn fails or the context is full.
#include "app/chat.h"

#include <csignal>
#include <istream>
#include <optional>
#include <ostream>

#include "app/command_line.h"
#include "app/format.h"
#include "app/options.h"
#include "app/terminal_head_map.h"
#include "app/turn_printer.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"

namespace headroom {
namespace {

class Chat {
 public:
  Chat(const Model& model, Session& session, Recording& recording, RestartableBackend& backend, TurnOptions turn,
       std::string system, Console& io)
      : model_(model),
        session_(session),
        recording_(recording),
        backend_(backend),
        turn_(std::move(turn)),
        system_(std::move(system)),
        io_(io),
        lines_(make_line_reader(io)) {}

  void run() {
    if (io_.in_is_terminal)
      say(format("%s, context %d tokens, configuration %s; /help lists the commands",
                 printable(model_.config().name).c_str(), session_.n_ctx(), session_.cache_config().name.c_str()));
    InputLine input;
    while (read_input(input)) {
      if (input.text.find_first_not_of(" \t\n") == std::string::npos) continue;
      try {
        // Nothing in a paste is a command: a user who pastes a log wants it in the message.
        if (input.text[0] != '/' || !input.begins_typed)
          send(input.text);
        else if (!run_command(input.text))
          return;
      } catch (const UsageError& error) {
        say(printable(error.what()));
      } catch (const Error& error) {
        say(printable(error.kind() == ErrorKind::device ? backend_.recover(session_, error) : error.what()));
      }
    }
  }

 private:
  void say(const std::string& line) { io_.err << line << std::endl; }

  /// Reads a line, or several if each but the last ends with a typed backslash. False at the end of the input.
  bool read_input(InputLine& input) {
    input = {};
    while (true) {
      InputLine line;
      const LineReader::Outcome outcome = lines_->read(input.text.empty() ? "> " : ". ", line);
      if (outcome == LineReader::Outcome::quit) return !input.text.empty();
      if (outcome == LineReader::Outcome::interrupted) {
        input = {};
        continue;
      }
      if (input.text.empty()) input.begins_typed = line.begins_typed;
      const bool goes_on = line.ends_typed && !line.text.empty() && line.text.back() == '\\';
      if (goes_on) line.text.back() = '\n';
      input.text += line.text;
      if (!goes_on) return true;
    }
  }

  std::vector<ChatMessage> conversation() const {
    std::vector<ChatMessage> all;
    if (!system_.empty()) all.push_back({.role = "system", .content = system_, .ids = {}});
    all.insert(all.end(), messages_.begin(), messages_.end());
    return all;
  }

  void send(const std::string& text) {
    check_prompt_text(text, "the message");
    other_answer_.reset();
    messages_.push_back({.role = "user", .content = text, .ids = {}});
    answer();
  }

  /// Generates the answer to the user's last message. If it fails before an answer began, the message is removed.
  void answer() {
    TurnPrinter printer(io_, true);
    try {
      const InterruptGuard guard(io_.interrupt);  // covers both steps, so that a Ctrl+C between them is not lost
      if (!make_room()) {
        messages_.pop_back();
        return;
      }
      const TurnResult result = recording_.run_turn(conversation(), turn_, printer);
      printer.finish(result, session_.cache_state(), session_.cache_config());
      if (!result.stop_message.empty()) say(printable(result.stop_message));
      // In a terminal, Ctrl+C stops only the answer. If the input is a script, it ends the whole run.
      if (io_.interrupt.requested && !io_.in_is_terminal) throw EndedBySignal(SIGINT);
      if (result.ids.empty() && result.stop_reason != StopReason::end_of_turn &&
          result.stop_reason != StopReason::max_tokens && result.stop_reason != StopReason::stop_string) {
        messages_.pop_back();
        say("the message was taken back: the turn ended before an answer began");
        return;
      }
      messages_.push_back({.role = "assistant", .content = result.text, .ids = result.ids});
    } catch (const Cancelled&) {
      messages_.pop_back();
      say("cancelled; the message was taken back: the turn ended before an answer began");
      if (!io_.in_is_terminal) throw EndedBySignal(SIGINT);
    } catch (...) {
      printer.break_off();
      messages_.pop_back();
      throw;
    }
  }

  /// Counts the tokens of the whole conversation as a prompt. Throws Cancelled if Ctrl+C interrupts it.
  size_t count_tokens() {
    return encode_chat(model_, conversation(), [this] { return io_.interrupt.requested.load(); }).ids.size();
  }

  /// True if the conversation fits the context, if necessary after the user agreed to drop its oldest turns.
  bool make_room() {
    const size_t n_tokens = count_tokens();
    if (n_tokens < static_cast<size_t>(session_.n_ctx()) || messages_.size() < 3) return true;
    say(format("the conversation has %zu tokens and the context holds %d", n_tokens, session_.n_ctx()));
    if (!io_.in_is_terminal) {
      say("the message was taken back; /reset begins a new chat");
      return false;
    }
    InputLine reply;
    if (lines_->read("drop the oldest turns and re-encode the rest? [y/N] ", reply) != LineReader::Outcome::line ||
        !reply.begins_typed || (reply.text != "y" && reply.text != "Y" && reply.text != "yes")) {
      say("the message was taken back; /reset begins a new chat");
      return false;
    }
    drop_oldest_turns();
    return true;
  }

  /// Drops turns until half of the context is free, so that the question does not return with every turn.
  void drop_oldest_turns() {
    const std::vector<ChatMessage> all = messages_;
    size_t n_turns = 0;
    try {
      while (messages_.size() >= 3 && count_tokens() > static_cast<size_t>(session_.n_ctx()) / 2) {
        messages_.erase(messages_.begin(), messages_.begin() + 2);
        ++n_turns;
      }
    } catch (const Cancelled&) {
      messages_ = all;
      throw;
    }
    say(format("dropped the oldest %zu %s", n_turns, n_turns == 1 ? "turn" : "turns"));
  }

  /// False for /quit.
  bool run_command(const std::string& input) {
    const size_t space = input.find_first_of(" \n");
    const std::string name = input.substr(0, space);
    const std::string argument = space == std::string::npos ? "" : input.substr(space + 1);
    if (name == "/quit") return false;
    if (name == "/help")
      help();
    else if (name == "/reset")
      reset();
    else if (name == "/undo")
      undo();
    else if (name == "/regen")
      regenerate();
    else if (name == "/other")
      use_other_answer();
    else if (name == "/system")
      set_system(argument);
    else if (name == "/config")
      set_config(argument);
    else if (name == "/heads")
      io_.out << head_map_text(session_.cache_state(), session_.cache_config(), io_.use_colour) << std::flush;
    else if (name == "/stats")
      stats();
    else
      refuse(name);
    return true;
  }

  void refuse(const std::string& name) {
    const std::string nearest = nearest_name(
        name, {"/help", "/quit", "/reset", "/undo", "/regen", "/other", "/system", "/config", "/heads", "/stats"});
    say("unknown command " + printable(name) + "; " +
        (nearest.empty() ? "/help lists them" : "the nearest is " + nearest) +
        " (text that begins with / is sent with a space in front)");
  }

  void help() {
    say("/undo          take the last turn back\n"
        "/regen         answer the last message again\n"
        "/other         the answer before /regen, and back\n"
        "/reset         begin a new chat\n"
        "/system TEXT   set the system prompt; without TEXT: none\n"
        "/config NAME   what the heads keep; without NAME: the names\n"
        "/heads         the head map\n"
        "/stats         tokens and bytes\n"
        "/quit          end (also Ctrl+D, or Ctrl+C at an empty prompt)\n"
        "A line that ends with a backslash continues in the next one; a paste is one message, whatever its lines are.\n"
        "Ctrl+C stops an answer.");
  }

  void reset() {
    messages_.clear();
    other_answer_.reset();
    recording_.clear();
    say("new chat");
  }

  bool take_back_last_answer() {
    if (messages_.size() < 2) {
      say("no turn to take back");
      return false;
    }
    messages_.pop_back();
    return true;
  }

  void undo() {
    if (!take_back_last_answer()) return;
    messages_.pop_back();
    other_answer_.reset();
    say(recording_.undo_turn() ? "the last turn was taken back"
                               : "the last turn was taken back; the rest is re-encoded with the next message");
  }

  /// The session sees that the conversation ends where the last turn began, and undoes that turn by itself. If there is
  /// no new answer, the previous one stays.
  void regenerate() {
    const std::vector<ChatMessage> before = messages_;
    if (!take_back_last_answer()) return;
    ++turn_.sampler.seed;  // otherwise the answer would be the same
    const auto stay = [&] {
      messages_ = before;
      say("there is no new answer; the previous one stays");
    };
    try {
      answer();
    } catch (...) {
      stay();
      throw;
    }
    if (messages_.empty() || messages_.back().role != "assistant") return stay();
    other_answer_ = before.back();
    say("/other returns to the previous answer");
  }

  /// Swaps the last answer and the one that /regen replaced.
  void use_other_answer() {
    if (!other_answer_ || messages_.empty()) return say("there is no other answer to the last message");
    std::swap(messages_.back(), *other_answer_);
    io_.out << messages_.back().content << "\n" << std::flush;
    say("the conversation goes on from this answer; /other swaps them again");
  }

  void set_system(const std::string& text) {
    if (!text.empty()) check_prompt_text(text, "the system prompt");
    system_ = text;
    say(messages_.empty() ? "system prompt set"
                          : "system prompt set; the conversation is re-encoded with the next message");
  }

  void set_config(const std::string& name) {
    if (name.empty()) {
      std::string names;
      for (const std::string& known : cache_config_names()) names += " " + known;
      say("configuration " + session_.cache_config().name + "; there are" + names);
      return;
    }
    CacheConfig config = named_cache_config(name);
    config.cache_type = session_.cache_config().cache_type;
    session_.set_cache_config(config);
    say("configuration " + name +
        (messages_.empty() ? "" : "; the next message applies it to the conversation's cache"));
    if (!session_.cache_note().empty()) say("note: " + printable(session_.cache_note()));
  }

  void stats() {
    const CacheState state = session_.cache_state();
    say(format("%d of %d tokens, configuration %s\n", state.n_tokens, session_.n_ctx(),
               session_.cache_config().name.c_str()) +
        "KV live " + kv_share_text(state) + ", pool " + bytes_text(state.kv_pool_bytes) + ", peak " +
        bytes_text(state.kv_peak_bytes) + ", turn log " + bytes_text(state.turn_log_bytes) + "\n" + "heads " +
        policy_count_text(state, session_.cache_config()));
  }

  const Model& model_;
  Session& session_;
  Recording& recording_;
  RestartableBackend& backend_;
  TurnOptions turn_;
  std::string system_;
  Console& io_;
  std::unique_ptr<LineReader> lines_;
  std::optional<ChatMessage> other_answer_;  // to the last message, see /other
  std::vector<ChatMessage> messages_;        // user, assistant, user, …; without the system prompt
};

}  // namespace

void chat(const Model& model, Session& session, Recording& recording, RestartableBackend& backend,
          const TurnOptions& turn, const std::string& system, Console& io) {
  Chat(model, session, recording, backend, turn, system, io).run();
}

}  // namespace headroom
