#include "app/cli.h"

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/section.h"
#include "app/version.h"

namespace vigie::app {

namespace {

constexpr std::size_t kTokenBytesMax = 64 * 1024;

// Everything that the arguments are read into; lives until the chosen command has run.
struct Arguments {
    std::string config;
    std::string state;
    std::string id;
    std::string token_file;
    DecideCommand decide;
    std::string data;
    ReplayCommand replay;
    std::function<int()> run;
};

void add_output(CLI::App& command, Arguments& arguments) {
    static const std::map<std::string, Format> kFormats{
        {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
    command.add_option("-o,--output", arguments.decide.api.format, "table, json or yaml")
        ->transform(CLI::CheckedTransformer(kFormats).description(""));
    command.add_flag_callback(
        "--json", [&arguments] { arguments.decide.api.format = Format::kJson; }, "Same as -o json");
}

CLI::App& add_api_command(CLI::App& app, Arguments& arguments, const std::string& name,
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
    add_output(command, arguments);
    return command;
}

void add_readers(CLI::App& app, Arguments& arguments) {
    auto& get = add_api_command(app, arguments, "get", "List incidents");
    static std::string what;
    get.add_option("what", what, "incidents")->required()->check(CLI::IsMember({"incidents"}));
    get.add_option("--state", arguments.state, "Only incidents in this state");
    get.callback([&arguments] {
        arguments.run = [&arguments] {
            return run_get_incidents(arguments.decide.api, arguments.state);
        };
    });

    auto& describe = add_api_command(app, arguments, "describe", "Show one incident in full");
    describe.add_option("incident", arguments.id, "Incident id")->required();
    describe.callback([&arguments] {
        arguments.run = [&arguments] { return run_describe(arguments.decide.api, arguments.id); };
    });

    auto& explain =
        add_api_command(app, arguments, "explain",
                        "Say what was decided about an event, incident, plan or action, and why");
    explain.add_option("id", arguments.id, "Any id")->required();
    explain.callback([&arguments] {
        arguments.run = [&arguments] { return run_explain(arguments.decide.api, arguments.id); };
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
        command.add_option("--plan", decide.plan, "Plan id; default: the plan shown now");
    }

    auto& mode = add_decision(app, arguments, "mode", "Change the mode of actions");
    mode.add_option("mode", decide.value,
                    "shadow, suggest, approve, autonomous; policy: as the configuration says")
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
    replay->add_option("--data", arguments.replay.data, "Data folder")->capture_default_str();
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
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (read_token(arguments) != 0) return 1;
    return arguments.run();
}

}  // namespace vigie::app
