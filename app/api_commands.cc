#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/section.h"
#include "core/system_clock.h"
#include "http/client.h"
#include "responders/actions/kill_switch.h"
#include "schemas/json.h"

namespace vigie::app {

namespace {

using schemas::Json;

int failed(const Error& error) {
    fmt::print(stderr, "vigie: {}\n", error.message);
    return 1;
}

Result<Json> get_json(const ApiCommand& command, std::string_view path) {
    VIGIE_TRY_ASSIGN(const std::string body, ApiClient(command.client).get(path));
    return schemas::parse_json(body);
}

// Shows `answer` as asked for; `as_table` is the default form.
int show(const Result<Json>& answer, Format format, std::string (*as_table)(const Json&)) {
    if (!answer) return failed(answer.error());
    std::cout << (format == Format::kTable ? as_table(*answer) : formatted(*answer, format));
    return 0;
}

std::string incident_path(std::string_view incident) {
    return "/api/v1/incidents/" + http::percent_encode(incident);
}

// Asks on the terminal; without one nobody can have seen the plan, and the answer is no.
bool agrees(const DecideCommand& command, const std::string& plan) {
    if (command.confirmed) return true;
    if (isatty(STDIN_FILENO) == 0) {
        fmt::print(stderr, "vigie: nothing is approved yet: say --plan {} when you mean it\n",
                   plan);
        return false;
    }
    fmt::print(stderr, "approve it? [y/N] ");
    std::string answer;
    return std::getline(std::cin, answer) && (answer == "y" || answer == "yes");
}

// The plan that the incident has now, which is shown to the person.
Result<std::string> shown_plan(const DecideCommand& command) {
    VIGIE_TRY_ASSIGN(const Json incident, get_json(command.api, incident_path(command.incident)));
    auto plan = schemas::string_at(incident, "/plan/id");
    if (!plan || plan->empty()) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("incident {} has no plan; see 'vigie describe {}'",
                                command.incident, command.incident));
    }
    const Json* found = schemas::find(incident, "/plan");
    if (!schemas::bool_at(incident, "/awaiting_approval").value_or(false)) {
        return fail(
            ErrorKind::kConflict,
            fmt::format("incident {} is {}: it does not wait for an approval", command.incident,
                        schemas::string_at(incident, "/state").value_or("unknown")));
    }
    if (command.kind == "approve" && !command.confirmed) std::cout << plan_text(*found);
    return *std::move(plan);
}

}  // namespace

int run_get_incidents(const ApiCommand& command, const std::string& state, int limit) {
    std::string path = fmt::format("/api/v1/incidents?limit={}", limit);
    if (!state.empty()) path += "&state=" + http::percent_encode(state);
    const auto answer = get_json(command, path);
    const int shown = show(answer, command.format, incident_table);
    if (!answer) return shown;
    const auto matching = schemas::integer_at(*answer, "/matching").value_or(0);
    if (matching > limit) {
        fmt::print(stderr, "vigie: the newest {} of {} incidents; --limit shows more\n", limit,
                   matching);
    }
    return shown;
}

int run_describe(const ApiCommand& command, const std::string& incident) {
    return show(get_json(command, incident_path(incident)), command.format, incident_text);
}

int run_postmortem(const ApiCommand& command, const std::string& incident) {
    const auto text =
        ApiClient(command.client).get("/api/v1/postmortems/" + http::percent_encode(incident));
    if (!text) return failed(text.error());
    std::cout << *text;
    return 0;
}

int run_explain(const ApiCommand& command, const std::string& id) {
    return show(get_json(command, "/api/v1/explain/" + http::percent_encode(id)), command.format,
                explanation_text);
}

int run_explain_request(const ApiCommand& command, const std::string& id) {
    return show(get_json(command, "/api/v1/ingest/requests/" + http::percent_encode(id)),
                command.format, request_text);
}

int run_decide(DecideCommand command) {
    if (command.plan.empty() && (command.kind == "approve" || command.kind == "reject")) {
        auto plan = shown_plan(command);
        if (!plan) return failed(plan.error());
        if (command.kind == "approve" && !agrees(command, *plan)) return 1;
        command.plan = *std::move(plan);
    }
    Json body{{"kind", command.kind}, {"actor", command.actor}};
    const auto add = [&body](const char* name, const std::string& value) {
        if (!value.empty()) body[name] = value;
    };
    add("incident", command.incident);
    add("plan", command.plan);
    add("reason", command.reason);
    add("value", command.value);
    add("scope", command.scope);
    if (!command.lasts.empty()) {
        const auto lasts = parse_duration(command.lasts);
        if (!lasts) return failed(lasts.error());
        add("expires_at", to_rfc3339(to_event_time(SystemClock{}.wall() + *lasts)));
    }
    const auto answer =
        ApiClient(command.api.client).post("/api/v1/decisions", schemas::dump_json(body));
    if (!answer) return failed(answer.error());
    const auto json = schemas::parse_json(*answer);
    if (!json) return failed(json.error());
    if (command.api.format != Format::kTable) {
        std::cout << formatted(*json, command.api.format);
        return 0;
    }
    const std::string id = schemas::string_at(*json, "/id").value_or("");
    fmt::print("{} recorded{}{}; 'vigie explain {}' shows what came of it\n", command.kind,
               command.incident.empty() ? "" : " for " + command.incident,
               command.plan.empty() ? "" : ", " + command.plan, id);
    if (command.kind == "mode" && command.value == "autonomous") {
        fmt::print(
            "until verdicts have calibrated the confidence, autonomous still asks, as approve "
            "does\n");
    }
    return 0;
}

int run_kill(DecideCommand command, const std::string& data) {
    if (!data.empty()) {
        const std::string file = data + "/kill-switch";
        std::error_code error;
        if (!std::filesystem::exists(file, error) &&
            !std::filesystem::exists(data + "/bus", error)) {
            return failed(Error{ErrorKind::kNotFound,
                                fmt::format("'{}' is not a data folder of Vigie", data)});
        }
        const auto written = actions::set_kill_switch(file, command.value == "on");
        if (!written) return failed(written.error());
        fmt::print("kill switch of {} is {}\n", data, command.value);
    }
    const int told = run_decide(std::move(command));
    // The file alone stops the executor; a server that does not answer is only a warning then.
    return data.empty() ? told : 0;
}

}  // namespace vigie::app
