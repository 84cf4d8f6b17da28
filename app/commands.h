// One function per command, each in its own file. args: what follows the command's name. They write results to io.out
// and throw UsageError, HelpRequested or Error.
#pragma once

#include <string>
#include <vector>

#include "app/console.h"

namespace headroom {

using Arguments = std::vector<std::string>;

void chat_command(const Arguments& args, Console& io);
void run_command(const Arguments& args, Console& io);
void chats_command(const Arguments& args, Console& io);
void profile_command(const Arguments& args, Console& io);
void tokenize_command(const Arguments& args, Console& io);
void bench_command(const Arguments& args, Console& io);
void calibrate_command(const Arguments& args, Console& io);
void eval_command(const Arguments& args, Console& io);
void inspect_command(const Arguments& args, Console& io);
void devices_command(const Arguments& args, Console& io);
void replay_command(const Arguments& args, Console& io);
void engine_command(const Arguments& args, Console& io);

}  // namespace headroom
