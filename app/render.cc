#include "app/render.h"

#include <algorithm>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace vigie::app {

namespace {

using schemas::Json;

std::string text_of(const Json& json, std::string_view pointer, std::string fallback = "-") {
    auto text = schemas::string_at(json, pointer);
    return text && !text->empty() ? printable(*std::move(text)) : std::move(fallback);
}

// A list that may be absent.
const Json& list_of(const Json& json, std::string_view pointer) {
    static const Json kEmpty = Json::array();
    const Json* found = schemas::find(json, pointer);
    return found != nullptr && found->is_array() ? *found : kEmpty;
}

std::string confidence_text(const Json& diagnosis) {
    const auto outcomes = schemas::integer_at(diagnosis, "/confidence/outcomes").value_or(0);
    if (!schemas::bool_at(diagnosis, "/confidence/calibrated").value_or(false)) {
        return fmt::format("uncalibrated (n={})", outcomes);
    }
    return fmt::format("{:.2f} (n={})",
                       schemas::number_at(diagnosis, "/confidence/value").value_or(0), outcomes);
}

std::string causes_text(const Json& diagnosis) {
    std::string out;
    for (const Json& cause : list_of(diagnosis, "/causes")) {
        out += fmt::format("  {:>4.0f} %  {}  {}{}\n",
                           100 * schemas::number_at(cause, "/share").value_or(0),
                           text_of(cause, "/entity"), text_of(cause, "/mechanism"),
                           text_of(cause, "/change_key", "").empty()
                               ? ""
                               : fmt::format("  ({})", text_of(cause, "/change_key")));
        for (const Json& reason : list_of(cause, "/reasons")) {
            if (reason.is_string()) {
                out += fmt::format("          {}\n", printable(reason.get<std::string>()));
            }
        }
    }
    return out;
}

std::string step_text(const Json& step) {
    std::string out = fmt::format("  {} on {}: {}\n", text_of(step, "/action"),
                                  text_of(step, "/target"), text_of(step, "/status", "planned"));
    for (const Json& line : list_of(step, "/diff")) {
        if (line.is_string()) out += fmt::format("      {}\n", printable(line.get<std::string>()));
    }
    return out + fmt::format("    to undo it: {}\n", text_of(step, "/inverse", "not possible"));
}

YAML::Node to_yaml(const Json& json) {
    YAML::Node node;
    if (json.is_object()) {
        for (const auto& [key, value] : json.items()) node[key] = to_yaml(value);
    } else if (json.is_array()) {
        for (const Json& item : json) node.push_back(to_yaml(item));
    } else if (json.is_string()) {
        node = json.get<std::string>();
    } else if (!json.is_null()) {
        node = json.dump();
    }
    return node;
}

}  // namespace

std::string plan_text(const Json& plan) {
    std::string out =
        fmt::format("plan {}: {}\n  risk {}, mode {}, expires {}{}\n", text_of(plan, "/id"),
                    text_of(plan, "/title"), text_of(plan, "/risk"), text_of(plan, "/mode"),
                    text_of(plan, "/expires_at"),
                    text_of(plan, "/approved_by", "").empty()
                        ? ""
                        : ", approved by " + text_of(plan, "/approved_by"));
    for (const Json& step : list_of(plan, "/steps")) out += step_text(step);
    out += "  gate\n";
    for (const Json& check : list_of(plan, "/gate")) {
        out += fmt::format("    {} {}: {}\n",
                           schemas::bool_at(check, "/passed").value_or(false) ? "pass" : "HOLD",
                           text_of(check, "/name"), text_of(check, "/reason"));
    }
    return out;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool last = i + 1 == row.size();
            out += last ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        out += '\n';
    }
    return out;
}

std::string printable(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = '?';
    }
    return text;
}

std::string incident_table(const Json& answer) {
    std::vector<std::vector<std::string>> rows{
        {"ID", "STATE", "SEVERITY", "OPENED", "CAUSE", "OWNER", "TITLE"}};
    for (const Json& incident : list_of(answer, "/incidents")) {
        rows.push_back({text_of(incident, "/id"), text_of(incident, "/state"),
                        text_of(incident, "/severity"), text_of(incident, "/opened_at"),
                        text_of(incident, "/cause"), text_of(incident, "/owner"),
                        text_of(incident, "/title")});
    }
    return rows.size() == 1 ? "no incidents\n" : table(rows);
}

std::string incident_text(const Json& incident) {
    std::string out = fmt::format(
        "{}  {}  {}\n{}\nopened {}, owner {}\n\n", text_of(incident, "/id"),
        text_of(incident, "/state"), text_of(incident, "/severity"), text_of(incident, "/title"),
        text_of(incident, "/opened_at"), text_of(incident, "/owner", "nobody"));
    if (const Json* diagnosis = schemas::find(incident, "/diagnosis")) {
        out += fmt::format("causes, confidence {}\n{}\n", confidence_text(*diagnosis),
                           causes_text(*diagnosis));
    }
    if (const Json* plan = schemas::find(incident, "/plan"); plan != nullptr && plan->is_object()) {
        out += plan_text(*plan) + "\n";
    }
    out += "timeline\n";
    for (const Json& entry : list_of(incident, "/timeline")) {
        out += fmt::format("  {}  {:<9} {}\n", text_of(entry, "/at"), text_of(entry, "/kind"),
                           text_of(entry, "/text"));
    }
    return out;
}

std::string explanation_text(const Json& answer) {
    std::string out;
    for (const Json& entry : list_of(answer, "/entries")) {
        out += fmt::format("{}  {}  {}  {}: {}\n", text_of(entry, "/time"),
                           text_of(entry, "/actor"), text_of(entry, "/subject"),
                           text_of(entry, "/what"), text_of(entry, "/detail"));
    }
    return out;
}

std::string request_text(const Json& answer) {
    std::string out = fmt::format("{}  {}", text_of(answer, "/id"), text_of(answer, "/outcome"));
    const auto number = [&](const char* where) {
        return schemas::integer_at(answer, where).value_or(0);
    };
    if (const auto reason = text_of(answer, "/reason", ""); !reason.empty()) out += ": " + reason;
    out += "\n";
    if (!text_of(answer, "/source", "").empty()) {
        const auto sender = text_of(answer, "/sender", "");
        out += fmt::format("  {}  {} from {}{}, {} bytes, answered {}\n", text_of(answer, "/at"),
                           text_of(answer, "/path"), text_of(answer, "/peer"),
                           sender.empty() ? "" : fmt::format(" ({})", sender), number("/bytes"),
                           number("/status"));
        out += fmt::format("  items: {} accepted, {} refused, {} in overflow series\n",
                           number("/items"), number("/refused_items"), number("/overflowed_items"));
    }
    for (const Json& record : list_of(answer, "/records")) {
        out += fmt::format("  {}/{}@{}\n", text_of(record, "/topic"),
                           schemas::integer_at(record, "/partition").value_or(0),
                           schemas::integer_at(record, "/offset").value_or(0));
    }
    return out;
}

std::string event_line(const schemas::Event& event) {
    std::string what = std::string(schemas::type_of(event.data));
    if (const auto* change = std::get_if<schemas::IncidentEvent>(&event.data)) {
        const auto& incident = change->incident;
        what = incident.state == change->previous
                   ? fmt::format("{}  {}", incident.id.value, schemas::to_string(incident.state))
                   : fmt::format("{}  {} -> {}", incident.id.value,
                                 schemas::to_string(change->previous),
                                 schemas::to_string(incident.state));
        what += ": " + change->reason;
    } else if (const auto* action = std::get_if<schemas::ActionEvent>(&event.data)) {
        what = fmt::format("{}  {} {} of {}", action->incident.value,
                           schemas::to_string(action->phase), action->action, action->target.value);
    } else if (const auto* entry = std::get_if<schemas::Audit>(&event.data)) {
        what = fmt::format("{}  {}: {}", entry->subject, entry->what, entry->detail);
    }
    return fmt::format("{}  {}\n", to_rfc3339(event.meta.time), printable(std::move(what)));
}

std::string formatted(const Json& json, Format format) {
    if (format == Format::kYaml) {
        try {
            return YAML::Dump(to_yaml(json)) + "\n";
        } catch (const YAML::Exception&) {
            return schemas::dump_json_pretty(json) + "\n";
        }
    }
    return schemas::dump_json_pretty(json) + "\n";
}

}  // namespace vigie::app
