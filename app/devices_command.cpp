// `headroom devices`: which backends this machine offers, which one would run, and why the others would not.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "engine/backend/registry.h"

namespace headroom {

void devices_command(const Arguments& args, Console& io) {
  CommonOptions common;
  CommandLine line("devices", "Backends and devices in order of preference; * marks the one that runs.",
                   "  headroom devices\n"
                   "  HEADROOM_BACKEND=cpu headroom devices --json");
  common.add_to(line);
  line.parse(args, io);

  const std::unique_ptr<Backend> chosen = common.open_backend();
  std::vector<DeviceEntry> entries = list_devices();
  const auto listed = std::find_if(entries.begin(), entries.end(),
                                   [&](const DeviceEntry& entry) { return entry.backend == chosen->info().name; });
  if (listed == entries.end())  // not in the list: a backend that is only opened by name, such as the reference
    entries.push_back(
        {.backend = chosen->info().name, .device = chosen->info().device, .available = true, .skip_reason = {}});
  else
    listed->device = chosen->info().device;

  if (common.json) {
    nlohmann::ordered_json devices = nlohmann::ordered_json::array();
    for (const DeviceEntry& entry : entries)
      devices.push_back({{"backend", entry.backend},
                         {"device", entry.device},
                         {"available", entry.available},
                         {"chosen", entry.backend == chosen->info().name},
                         {"skip_reason", entry.skip_reason}});
    io.out << json_line({{"devices", devices}});
    return;
  }
  for (const DeviceEntry& entry : entries) {
    const bool is_chosen = entry.backend == chosen->info().name;
    const std::string note = entry.device.empty() || (!is_chosen && !entry.skip_reason.empty())
                                 ? entry.device + (entry.device.empty() ? "" : "; ") + entry.skip_reason
                                 : entry.device;
    io.out << format("%c %-8s %s\n", is_chosen ? '*' : ' ', entry.backend.c_str(), printable(note).c_str());
  }
}

}  // namespace headroom
