#include <iostream>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/config.h"
#include "app/migrate.h"
#include "app/pipeline.h"
#include "schemas/json.h"

namespace vigie::app {

namespace {

using schemas::Json;

void print(const Migration& done, Format format) {
    std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITION", "RECORDS", "HASH"}};
    Json partitions = Json::array();
    for (const auto& part : done.parts) {
        const std::string hash = fmt::format("{:016x}", part.hash);
        rows.push_back({part.partition.topic, std::to_string(part.partition.index),
                        std::to_string(part.records), hash});
        partitions.push_back({{"topic", part.partition.topic},
                              {"partition", part.partition.index},
                              {"records", part.records},
                              {"hash", hash}});
    }
    if (format != Format::kTable) {
        std::cout << formatted(Json{{"partitions", std::move(partitions)},
                                    {"positions", done.positions},
                                    {"state_rows", done.rows}},
                               format);
        return;
    }
    std::cout << table(rows);
    fmt::print("the same on both sides; {} positions and {} rows of state too\n", done.positions,
               done.rows);
}

Status migrate_and_print(const MigrateCommand& command) {
    const auto config = load_config(command.config);
    if (!config) {
        return fail(ErrorKind::kInvalid, fmt::format("{}", fmt::join(config.error().lines, "\n")));
    }
    if (!config->kafka) {
        return fail(ErrorKind::kInvalid,
                    command.config + " has no bus.kafka: say there where to copy the log to");
    }
    // The folder for itself: so no Vigie writes to it.
    VIGIE_TRY_ASSIGN(const auto from, LogAccess::open({.data = config->data, .config = ""},
                                                      LogAccess::Intent::kChange));
    VIGIE_TRY_ASSIGN(const auto to, LogAccess::open({.data = "", .config = command.config},
                                                    LogAccess::Intent::kChange));
    const auto topics = make_topics(config->partitions, config->retention_bytes);
    const std::string target = config->kafka->prefix + "vigie.*";
    MigrateOptions options;
    VIGIE_TRY_ASSIGN(options.resume, is_unfinished(config->data, target));
    options.before_writing = [&] { return begin_move(config->data, target); };
    options.tell = [](const std::string& sentence) {
        fmt::print(stderr, "vigie: migrate: {}\n", sentence);
    };
    if (options.resume) options.tell("going on with the move that was begun");
    VIGIE_TRY_ASSIGN(const Migration done,
                     migrate(from->bus(), to->bus(), topics, readers(), options));
    VIGIE_TRY(finish_move(config->data));
    for (const std::string& sentence : done.begun_anew) options.tell(sentence);
    print(done, command.format);
    return {};
}

}  // namespace

int run_migrate(const MigrateCommand& command) {
    const auto done = migrate_and_print(command);
    if (done) return 0;
    fmt::print(stderr, "vigie: migrate: {}\n", done.error().message);
    return 1;
}

}  // namespace vigie::app
