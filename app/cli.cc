#include "app/cli.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/log_commands.h"
#include "app/section.h"
#include "app/version.h"

namespace vigie::app {

namespace {

constexpr std::size_t kTokenBytesMax = 64 * 1024;

// Everything that the arguments are read into; lives until the chosen command has run.
struct Arguments {
    std::string config;
    std::string state;
    int limit = 100;
    std::string id;
    std::vector<std::string> files;
    std::vector<std::string> words;
    std::string token_file;
    DecideCommand decide;
    std::string data;
    ReplayCommand replay;
    LogCommand log;
    MigrateCommand migrate;
    DetectorLogsCommand logs;
    DetectorMapCommand map;
    DetectorProposeCommand propose;
    BacktestCommand backtest;
    std::function<int()> run;
};

void add_output(CLI::App& command, Format& format) {
    static const std::map<std::string, Format> kFormats{
        {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
    command.add_option("-o,--output", format, "table, json or yaml")
        ->transform(CLI::CheckedTransformer(kFormats).description(""));
    command.add_flag_callback("--json", [&format] { format = Format::kJson; }, "Same as -o json");
}

void add_place(CLI::App& command, LogPlace& place) {
    auto* config = command.add_option("--config", place.config,
                                      "Configuration: the log is where that says, also on Kafka");
    command.add_option("--data", place.data, "Data folder")
        ->capture_default_str()
        ->excludes(config);
}

CLI::App& add_api_client(CLI::App& app, Arguments& arguments, const std::string& name,
                         const std::string& help) {
    CLI::App& command = *app.add_subcommand(name, help);
    auto& client = arguments.decide.api.client;
    command.add_option("--server", client.server, "Where Vigie's API is")
        ->envname("VIGIE_SERVER")
        ->capture_default_str();
    command.add_option("--token-file", arguments.token_file, "File with the API token")
        ->envname("VIGIE_TOKEN_FILE");
    command.add_option("--ca-file", client.ca_file,
                       "PEM file that the server's certificate is checked with");
    return command;
}

CLI::App& add_api_command(CLI::App& app, Arguments& arguments, const std::string& name,
                          const std::string& help) {
    CLI::App& command = add_api_client(app, arguments, name, help);
    add_output(command, arguments.decide.api.format);
    return command;
}

void add_readers(CLI::App& app, Arguments& arguments) {
    auto& get = add_api_command(app, arguments, "get", "List incidents");
    static std::string what;
    get.add_option("what", what, "incidents, which is the default")
        ->check(CLI::IsMember({"incidents"}));
    get.add_option("--state", arguments.state, "Only incidents in this state");
    get.add_option("--limit", arguments.limit, "At most so many, the newest")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    get.callback([&arguments] {
        arguments.run = [&arguments] {
            return run_get_incidents(arguments.decide.api, arguments.state, arguments.limit);
        };
    });

    auto& describe = add_api_command(app, arguments, "describe", "Show one incident in full");
    describe.add_option("incident", arguments.id, "Incident id")->required();
    describe.callback([&arguments] {
        arguments.run = [&arguments] { return run_describe(arguments.decide.api, arguments.id); };
    });

    auto& postmortem =
        add_api_client(app, arguments, "postmortem", "Print the post-mortem of an incident");
    postmortem.add_option("incident", arguments.id, "Incident id")->required();
    postmortem.callback([&arguments] {
        arguments.run = [&arguments] { return run_postmortem(arguments.decide.api, arguments.id); };
    });

    auto& explain =
        add_api_command(app, arguments, "explain",
                        "Say what was decided about an event, incident, plan or action, and why");
    explain
        .add_option("id", arguments.words,
                    "Any id; or ingest ID: what became of a request to a receiver, by the "
                    "X-Request-Id of its answer")
        ->required()
        ->expected(1, 2);
    explain.callback([&arguments] {
        const auto& words = arguments.words;
        if ((words.size() == 2) != (words.front() == "ingest")) {
            arguments.run = [] {
                fmt::print(stderr,
                           "vigie: explain: takes an id, or 'ingest' and the id of a request\n");
                return 2;
            };
            return;
        }
        const bool request = words.size() == 2 || words.front().starts_with("req-");
        arguments.id = words.back();
        arguments.run = [&arguments, request] {
            return request ? run_explain_request(arguments.decide.api, arguments.id)
                           : run_explain(arguments.decide.api, arguments.id);
        };
    });
}

CLI::App& add_decision(CLI::App& app, Arguments& arguments, const std::string& kind,
                       const std::string& help) {
    auto& command = add_api_command(app, arguments, kind, help);
    command.add_option("--as", arguments.decide.actor, "Who decides")
        ->envname("USER")
        ->capture_default_str();
    command.add_option("--reason", arguments.decide.reason, "Why, for the record");
    command.callback([&arguments, kind] {
        arguments.decide.kind = kind;
        arguments.run = [&arguments] { return run_decide(std::move(arguments.decide)); };
    });
    return command;
}

void add_deciders(CLI::App& app, Arguments& arguments) {
    auto& decide = arguments.decide;
    auto& ack = add_decision(app, arguments, "ack", "Take an incident: you own it");
    ack.add_option("incident", decide.incident, "Incident id")->required();

    for (const auto& [kind, help] : {std::pair{"approve", "Approve the plan of an incident"},
                                     std::pair{"reject", "Reject the plan of an incident"}}) {
        auto& command = add_decision(app, arguments, kind, help);
        command.add_option("incident", decide.incident, "Incident id")->required();
        auto* plan = command.add_option("--plan", decide.plan, "Plan id, as it was shown to you");
        if (std::string_view(kind) != "approve") continue;
        command.add_flag("--yes", decide.confirmed, "The plan it has now, without asking")
            ->excludes(plan);
    }

    auto& verdict = add_decision(app, arguments, "verdict",
                                 "Say whether the first cause was right: confidence rests on it");
    verdict.add_option("incident", decide.incident, "Incident id")->required();
    verdict
        .add_option("value", decide.value,
                    "right, wrong; false: a false alarm; known: real, but not worth an alarm")
        ->required()
        ->check(CLI::IsMember({"right", "wrong", "false", "known"}));

    auto& silence =
        add_decision(app, arguments, "silence", "Page nobody about an entity for a while");
    silence.add_option("scope", decide.scope, "Entity or pattern, for example service:checkout")
        ->required();
    silence.add_option("--for", decide.lasts, "How long, for example 2h30m")->required();

    auto& resolve = add_decision(app, arguments, "resolve", "Say that an incident is over");
    resolve.add_option("incident", decide.incident, "Incident id")->required();

    auto& mode = add_decision(app, arguments, "mode", "Change the mode of actions");
    mode.add_option("mode", decide.value,
                    "shadow, suggest, approve, autonomous (asks until verdicts have calibrated the "
                    "confidence); policy: as the configuration says")
        ->required()
        ->check(CLI::IsMember({"shadow", "suggest", "approve", "autonomous", "policy"}));
    mode.add_option("--action", decide.scope,
                    "Action or pattern such as kubernetes.*; default: all");

    auto& kill = add_decision(app, arguments, "kill",
                              "Stop every action at once (on), or allow them again (off)");
    kill.add_option("switch", decide.value, "on or off")
        ->required()
        ->check(CLI::IsMember({"on", "off"}));
    kill.add_option("--data", arguments.data,
                    "Data folder: writes the switch there directly, server or not");
    kill.callback([&arguments] {
        arguments.decide.kind = "kill";
        arguments.run = [&arguments] {
            return run_kill(std::move(arguments.decide), arguments.data);
        };
    });
}

void add_local(CLI::App& app, Arguments& arguments) {
    auto* serve = app.add_subcommand("serve", "Run Vigie");
    serve->add_option("--config", arguments.config,
                      "YAML file; without one: safe defaults, all in shadow");
    serve->callback(
        [&arguments] { arguments.run = [&arguments] { return run_serve(arguments.config); }; });

    auto* check =
        app.add_subcommand("check-config", "Check a configuration and the runbooks it names");
    check->add_option("file", arguments.config, "YAML file")->required();
    check->callback([&arguments] {
        arguments.run = [&arguments] { return run_check_config(arguments.config); };
    });

    auto* replay = app.add_subcommand(
        "replay", "Run the recorded signals through the agent again and print what it says");
    add_place(*replay, arguments.replay.place);
    replay->add_flag_callback(
        "--json", [&arguments] { arguments.replay.format = Format::kJson; },
        "The records as they are on the log, one JSON object a line");
    replay->add_option("--incident", arguments.replay.incident, "Only this incident");
    replay->add_option("--from", arguments.replay.from, "Print from this time on (RFC 3339)");
    replay->add_option("--to", arguments.replay.to, "Stop at this time (RFC 3339)");
    replay->callback(
        [&arguments] { arguments.run = [&arguments] { return run_replay(arguments.replay); }; });

    auto* version = app.add_subcommand("version", "Print the version");
    version->callback([&arguments] {
        arguments.run = [] {
            fmt::print("vigie {}\n", kVersion);
            return 0;
        };
    });
}

CLI::App& add_log_command(CLI::App& group, Arguments& arguments, const std::string& name,
                          const std::string& help, int (*run)(const LogCommand&)) {
    CLI::App& command = *group.add_subcommand(name, help);
    add_place(command, arguments.log.place);
    add_output(command, arguments.log.format);
    command.callback(
        [&arguments, run] { arguments.run = [&arguments, run] { return run(arguments.log); }; });
    return command;
}

void add_topics(CLI::App& app, Arguments& arguments) {
    LogCommand& log = arguments.log;
    CLI::App& topics = *app.add_subcommand("topics", "Look at the log, and move its readers");
    topics.require_subcommand(1);
    add_log_command(topics, arguments, "list", "Every topic", run_topics_list);

    auto& describe =
        add_log_command(topics, arguments, "describe", "Offsets, and how far each stage has come",
                        run_topics_describe);
    auto& read = add_log_command(topics, arguments, "read", "Records, one JSON object a line",
                                 run_topics_read);
    auto& reset = add_log_command(topics, arguments, "reset",
                                  "Let a stage read again from elsewhere, without its state",
                                  run_topics_reset);
    reset.add_option("stage", log.group, "Stage, as 'describe' shows it")->required();
    for (CLI::App* command : {&describe, &read, &reset}) {
        command->add_option("topic", log.topic, "Topic")->required();
        command->add_option("--partition", log.partition, "Only this one")
            ->check(CLI::NonNegativeNumber);
    }
    auto* from = read.add_option("--from", log.from, "First offset")->check(CLI::NonNegativeNumber);
    read.add_option("--since", log.since, "First time (RFC 3339)")->excludes(from);
    read.add_flag("--ticks", log.ticks, "Also the ticks that move time on");
    read.add_option("--max", log.records_max, "At most so many")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    reset.add_option("--to", log.to, "begin, end, an offset, or a time (RFC 3339)")->required();
    reset.add_flag("--keep-state", log.keep_state, "With its state: to go past a damaged record");
    reset.add_flag("--yes", log.confirmed, "Do it; without this, only say what would be done");
}

void add_dead_letters(CLI::App& app, Arguments& arguments) {
    LogCommand& log = arguments.log;
    CLI::App& letters =
        *app.add_subcommand("deadletter", "Look at what was refused, and try it again");
    letters.require_subcommand(1);
    auto& list = add_log_command(letters, arguments, "list", "Dead letters, oldest first",
                                 run_deadletter_list);
    list.add_option("--from", log.from, "First offset")->check(CLI::NonNegativeNumber);
    list.add_option("--max", log.records_max, "At most so many")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    auto& show =
        add_log_command(letters, arguments, "show", "One of them in full", run_deadletter_show);
    show.add_option("offset", log.letter, "As 'list' shows it")->required();
    show.add_flag("--raw", log.raw, "Only its bytes, as they came");
    auto& retry = add_log_command(letters, arguments, "retry",
                                  "Put one of them, or all, back on the topic they came from",
                                  run_deadletter_retry);
    retry.add_option("--from", log.from, "With all: the first of them")
        ->check(CLI::NonNegativeNumber);
    retry.add_option("which", log.which, "An offset as 'list' shows it, or all")
        ->required()
        ->check([](const std::string& text) -> std::string {
            const bool number = text.find_first_not_of("0123456789") == std::string::npos;
            return text == "all" || number ? "" : "neither an offset nor 'all': " + text;
        });
}

void add_migrate(CLI::App& app, Arguments& arguments) {
    CLI::App& migrate = *app.add_subcommand(
        "migrate", "Copy the log of the data folder, with all positions and state, to Kafka");
    static std::string to;
    migrate.add_option("--to", to, "kafka")->required()->check(CLI::IsMember({"kafka"}));
    migrate.add_option("--config", arguments.migrate.config, "Names both: data and bus.kafka")
        ->required();
    add_output(migrate, arguments.migrate.format);
    migrate.callback(
        [&arguments] { arguments.run = [&arguments] { return run_migrate(arguments.migrate); }; });
}

void add_detector(CLI::App& app, Arguments& arguments) {
    CLI::App& detector = *app.add_subcommand("detector", "Try the detectors on recorded data");
    detector.require_subcommand(1);
    CLI::App& replay =
        *detector.add_subcommand("replay", "Judge a file of samples, row by row, as it would live");
    static std::string file;
    replay.add_option("file", file, "CSV file with rows timestamp,value")->required();
    replay.callback([&arguments] { arguments.run = [] { return run_detector_replay(file); }; });

    BacktestCommand& recorded = arguments.backtest;
    CLI::App& backtest = *detector.add_subcommand(
        "backtest", "What the detectors would have told of the recorded telemetry");
    add_place(backtest, recorded.place);
    add_output(backtest, recorded.format);
    backtest.add_option("--from", recorded.from, "First time (RFC 3339)")->required();
    backtest.add_option("--to", recorded.to, "Until this time (RFC 3339)")->required();
    backtest.add_option("--learn", recorded.learn,
                        "How long before --from to learn, for example 1d; else all there is");
    backtest.add_option("--detectors", recorded.detectors,
                        "Configuration whose section 'detect' to try; else that of --config; else "
                        "the defaults, without rules");
    backtest.callback([&arguments] {
        arguments.run = [&arguments] { return run_detector_backtest(arguments.backtest); };
    });

    DetectorLogsCommand& command = arguments.logs;
    CLI::App& logs = *detector.add_subcommand("logs", "Find the templates of a file of log lines");
    logs.add_option("file", command.file, "One message a line; - for standard input")->required();
    auto* settled =
        logs.add_flag("--settled", command.settled, "The id after all templates were joined");
    logs.add_flag("--alerts", command.alerts,
                  "Lines are unix-seconds<TAB>service<TAB>message: print what would have fired")
        ->excludes(settled);
    logs.add_option("--templates-max", command.templates_max, "At most so many at a time")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    logs.callback([&arguments] {
        arguments.run = [&arguments] { return run_detector_logs(arguments.logs); };
    });
}

void add_detector_on_log(CLI::App& detector, Arguments& arguments) {
    DetectorMapCommand& of_map = arguments.map;
    CLI::App& map =
        *detector.add_subcommand("service-map", "Who calls whom in the recorded spans, how often");
    add_place(map, of_map.place);
    map.add_option("--from", of_map.from, "From this time on (RFC 3339)");
    map.add_option("--to", of_map.to, "Until this time (RFC 3339)");
    add_output(map, of_map.format);
    map.callback([&arguments] {
        arguments.run = [&arguments] { return run_detector_service_map(arguments.map); };
    });

    DetectorProposeCommand& of_propose = arguments.propose;
    CLI::App& propose = *detector.add_subcommand(
        "propose", "Thresholds for a rule, with the alarms they would have raised");
    propose.add_option("files", of_propose.files, "CSV files with rows timestamp,value");
    add_place(propose, of_propose.place);
    propose.add_option("--metric", of_propose.metric,
                       "Series of the recorded log instead: NAME{label=value}, with globs");
    propose.add_option("--from", of_propose.from, "From this time on (RFC 3339)");
    propose.add_option("--to", of_propose.to, "Until this time (RFC 3339)");
    propose.add_flag("--below", of_propose.below, "For a rule that fires below its threshold");
    propose.add_option("--for", of_propose.hold, "How long it must hold, for example 5m");
    propose.add_option("--alarms-per-day", of_propose.alarms_per_day,
                       "Budgets of a series; default: 0, one a month, one a week, one a day");
    add_output(propose, of_propose.format);
    propose.callback([&arguments] {
        arguments.run = [&arguments] { return run_detector_propose(arguments.propose); };
    });
}

void add_import(CLI::App& app, Arguments& arguments) {
    CLI::App& import = *app.add_subcommand("import",
                                           "Print what another program's configuration "
                                           "becomes in Vigie's");
    import.require_subcommand(1);
    CLI::App& alertmanager = *import.add_subcommand("alertmanager", "An alertmanager.yml");
    alertmanager.add_option("file", arguments.config, "alertmanager.yml")->required();
    alertmanager.callback([&arguments] {
        arguments.run = [&arguments] { return run_import_alertmanager(arguments.config); };
    });
    CLI::App& rules = *import.add_subcommand("prometheus-rules", "Rule files of Prometheus");
    rules.add_option("files", arguments.files, "Rule files")->required();
    rules.callback([&arguments] {
        arguments.run = [&arguments] { return run_import_prometheus_rules(arguments.files); };
    });
}

int read_token(Arguments& arguments) {
    if (arguments.token_file.empty()) return 0;
    auto token = read_file(arguments.token_file, kTokenBytesMax);
    if (!token) {
        fmt::print(stderr, "vigie: token file: {}\n", token.error().message);
        return 1;
    }
    while (token->ends_with('\n') || token->ends_with('\r')) token->pop_back();
    arguments.decide.api.client.token = *std::move(token);
    return 0;
}

}  // namespace

int run_cli(int argc, char** argv) {
    CLI::App app{"Vigie: watches a fleet, says what is wrong and why, and fixes what it may"};
    app.require_subcommand(1);
    Arguments arguments;
    arguments.decide.actor = "operator";
    add_local(app, arguments);
    add_readers(app, arguments);
    add_deciders(app, arguments);
    add_topics(app, arguments);
    add_dead_letters(app, arguments);
    add_migrate(app, arguments);
    add_detector(app, arguments);
    add_detector_on_log(*app.get_subcommand("detector"), arguments);
    add_import(app, arguments);
    app.set_version_flag("--version", fmt::format("vigie {}", kVersion));
    const auto commands = app.get_subcommands([](CLI::App*) { return true; });
    const bool known = std::any_of(commands.begin(), commands.end(), [&](const CLI::App* command) {
        return argc > 1 && command->get_name() == argv[1];
    });
    if (argc > 1 && argv[1][0] != '-' && !known) {
        fmt::print(stderr, "vigie: there is no command '{}'; 'vigie --help' lists them\n", argv[1]);
        return 2;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (read_token(arguments) != 0) return 1;
    return arguments.run();
}

}  // namespace vigie::app
