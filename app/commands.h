// One function per command, each in its own file. args: what follows the command's name. They write results to io.out
// and throw UsageError, HelpRequested or Error.
#pragma once

#include <string>
#include <vector>

#include "app/streams.h"

namespace headroom {

using Arguments = std::vector<std::string>;

void chat_command(const Arguments& args, Streams& io);
void run_command(const Arguments& args, Streams& io);
void chats_command(const Arguments& args, Streams& io);
void profile_command(const Arguments& args, Streams& io);
void tokenize_command(const Arguments& args, Streams& io);
void bench_command(const Arguments& args, Streams& io);
void calibrate_command(const Arguments& args, Streams& io);
void eval_command(const Arguments& args, Streams& io);
void inspect_command(const Arguments& args, Streams& io);
void devices_command(const Arguments& args, Streams& io);
void replay_command(const Arguments& args, Streams& io);
void engine_command(const Arguments& args, Streams& io);

}  // namespace headroom
