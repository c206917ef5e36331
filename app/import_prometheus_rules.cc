#include "app/import_prometheus_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/section.h"
#include "app/yaml.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rule_check.h"
#include "detectors/rules/rules.h"
#include "detectors/words.h"
#include "schemas/json.h"

namespace vigie::app {

namespace {

namespace promql = detectors::promql;
using Kind = YamlNode::Kind;

constexpr std::size_t kFileBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kRulesMax = 10'000;
constexpr int kRecordsDeepMax = 8;  // Recording rules that read recording rules.

std::string yaml_text(const std::string& text) {
    return schemas::dump_json(schemas::Json(text));
}

std::string scalar_at(const YamlNode& node, std::string_view key) {
    const YamlNode* const found = node.find(key);
    return found != nullptr && found->kind == Kind::kScalar ? found->scalar : std::string();
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (true) {
        const std::size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return lines;
        text.remove_prefix(end + 1);
    }
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// What stands between Prometheus's own placeholders is text, and must not be one of Vigie's.
std::string as_text(std::string_view text) {
    std::string out(text);
    if (!detectors::wrong_in_summary(text)) return out;
    std::ranges::replace(out, '{', '(');
    std::ranges::replace(out, '}', ')');
    return out;
}

// What Prometheus puts into a text by a template, as far as Vigie's own placeholders can say it:
// {{ $value … }} and {{ $labels.NAME … }}. Anything else becomes "…", and `lost` is set.
std::string with_placeholders(std::string_view text, bool& lost) {
    std::string out;
    while (true) {
        const std::size_t begin = text.find("{{");
        out += as_text(text.substr(0, begin));
        if (begin == std::string_view::npos) return out;
        const std::size_t end = text.find("}}", begin);
        std::string_view inside = text.substr(begin + 2, end - begin - 2);
        constexpr std::string_view kLabels = "$labels.";
        const std::size_t label = inside.find(kLabels);
        const std::size_t name = label == std::string_view::npos ? label : label + kLabels.size();
        if (name < inside.size() && is_word(inside[name])) {
            std::size_t last = name;
            while (last < inside.size() && is_word(inside[last])) ++last;
            out += fmt::format("{{label:{}}}", inside.substr(name, last - name));
        } else if (inside.find("$value") != std::string_view::npos) {
            out += "{value}";
        } else {
            out += "…";
            lost = true;
        }
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 2);
    }
}

class Import {
public:
    Import(const std::string& text, std::string file, std::set<std::string>& names)
        : lines_(lines_of(text)), file_(std::move(file)), names_(names) {}

    Result<Imported> run(const YamlNode& root);

private:
    struct Record {
        const YamlNode* node = nullptr;  // Its expr.
        std::string expression;
        bool labelled = false;
        bool twice = false;
    };

    void note(const YamlNode& where, std::string_view what) {
        imported_.notes.push_back(line(where.line, where.column, what));
    }
    void refuse(const YamlNode& where, std::string_view what) {
        imported_.refusals.push_back(line(where.line, where.column, what));
    }
    std::string line(std::size_t row, std::size_t column, std::string_view what) const {
        return fmt::format("{}:{}:{}: {}", file_, row, column, what);
    }
    std::string line(int row, int column, std::string_view what) const {
        return line(static_cast<std::size_t>(row), static_cast<std::size_t>(column), what);
    }

    void note_records(const YamlNode& group);
    void read_group(const YamlNode& group);
    void read_alert(const YamlNode& rule, const YamlNode* group_labels);
    std::string unique_name(const std::string& alert);
    std::string severity_of(const YamlNode& rule, const YamlNode* group_labels);
    void note_labels(const YamlNode* labels);
    void note_annotations(const YamlNode& rule);
    std::string summary_of(const YamlNode& rule);
    bool read_duration(const YamlNode& rule, std::string_view key, std::string& out);
    void refuse_at(const YamlNode& node, const std::string& expression, std::size_t at,
                   std::string_view what);
    // The expression with recorded names filled in; nothing when it was refused.
    std::optional<std::string> filled(const YamlNode& node, const std::string& expression,
                                      int depth);

    const std::vector<std::string_view> lines_;
    const std::string file_;
    std::set<std::string>& names_;
    Imported imported_;
    std::map<std::string, Record> records_;
    std::size_t rules_ = 0;
};

// The place in the file of a byte of an expression. The parser of YAML knows only where its key
// stands, so the line is looked for from there on; else the key's place is given.
void Import::refuse_at(const YamlNode& node, const std::string& expression, std::size_t at,
                       std::string_view what) {
    const promql::Place place = promql::place_of(expression, at);
    const auto of_expression = lines_of(expression);
    const std::string_view wanted = of_expression[place.line - 1];
    for (auto row = static_cast<std::size_t>(node.line - 1); row < lines_.size(); ++row) {
        if (row > static_cast<std::size_t>(node.line) + of_expression.size()) break;
        const std::size_t column =
            wanted.empty() ? std::string_view::npos : lines_[row].find(wanted);
        if (column == std::string_view::npos) continue;
        imported_.refusals.push_back(line(row + 1, column + place.column, what));
        return;
    }
    refuse(node,
           fmt::format("line {}, column {} of the expression: {}", place.line, place.column, what));
}

void Import::note_records(const YamlNode& group) {
    const YamlNode* const rules = group.find("rules");
    if (rules == nullptr) return;
    const YamlNode* const of_group = group.find("labels");
    for (const auto& rule : rules->items) {
        const std::string name = scalar_at(rule, "record");
        if (name.empty()) continue;
        Record& record = records_[name];
        record.twice = record.node != nullptr;
        record.node = rule.find("expr");
        record.expression = scalar_at(rule, "expr");
        const YamlNode* const labels = rule.find("labels");
        record.labelled = (labels != nullptr && !labels->entries.empty()) ||
                          (of_group != nullptr && !of_group->entries.empty());
    }
}

std::optional<std::string> Import::filled(const YamlNode& node, const std::string& expression,
                                          int depth) {
    const auto tree = promql::parse(expression);
    if (!tree) {
        refuse_at(node, expression, tree.error().at, tree.error().what);
        return {};
    }
    std::vector<const promql::Expression*> selectors;
    promql::collect_selectors(**tree, selectors);
    std::ranges::reverse(selectors);  // So that places before stay where they are.
    std::string out = expression;
    for (const promql::Expression* selector : selectors) {
        const auto found = records_.find(selector->metric);
        if (found == records_.end()) continue;
        const Record& record = found->second;
        const auto no = [&](std::string_view why) -> std::optional<std::string> {
            refuse_at(
                node, expression, selector->begin,
                fmt::format("'{}' is a recording rule of this file, {}", selector->metric, why));
            return {};
        };
        if (record.twice) return no("and there are several of that name");
        if (record.labelled) return no("which adds labels");
        if (depth >= kRecordsDeepMax) return no("and they read each other");
        if (!selector->matchers.empty() || selector->type == promql::Type::kRange ||
            selector->offset.count() != 0) {
            return no("and can only stand alone here, without labels, range or offset");
        }
        if (record.node == nullptr) return no("which has no expr");
        auto inner = filled(*record.node, record.expression, depth + 1);
        if (!inner) return {};
        out.replace(selector->begin, selector->end - selector->begin, fmt::format("({})", *inner));
        if (out.size() > promql::kTextBytesMax) return no("and the whole is too long");
    }
    return out;
}

std::string Import::unique_name(const std::string& alert) {
    std::string name = alert;
    for (int i = 2; !names_.insert(name).second; ++i) name = fmt::format("{}-{}", alert, i);
    return name;
}

void Import::note_labels(const YamlNode* labels) {
    if (labels == nullptr) return;
    for (const auto& [key, value] : labels->entries) {
        if (key == "severity") continue;
        note(value, fmt::format("label {}: an anomaly carries the labels of its entity only", key));
    }
}

// The rule's own label goes before that of its group.
std::string Import::severity_of(const YamlNode& rule, const YamlNode* group_labels) {
    const YamlNode* found = nullptr;
    for (const YamlNode* const labels : {rule.find("labels"), group_labels}) {
        if (labels != nullptr && found == nullptr) found = labels->find("severity");
    }
    if (found == nullptr) return "warning";
    const std::string& text = found->scalar;
    if (text == "critical" || text == "page" || text == "error" || text == "emergency") {
        return "critical";
    }
    if (text == "info" || text == "none") return "info";
    if (text != "warning" && text != "ticket") {
        note(*found, fmt::format("severity '{}' is taken as warning", text));
    }
    return "warning";
}

// A rule has one text: the first of these annotations.
const YamlNode* text_of(const YamlNode& annotations) {
    for (const auto* key : {"summary", "message", "description"}) {
        const YamlNode* const found = annotations.find(key);
        if (found != nullptr && !found->scalar.empty()) return found;
    }
    return nullptr;
}

std::string Import::summary_of(const YamlNode& rule) {
    const YamlNode* const annotations = rule.find("annotations");
    const YamlNode* const text = annotations == nullptr ? nullptr : text_of(*annotations);
    if (text == nullptr) return {};
    bool lost = false;
    std::string summary = with_placeholders(text->scalar, lost);
    for (const auto& [key, value] : annotations->entries) {
        if (&value != text || !lost) continue;
        note(value, fmt::format("{}: only $value and $labels.NAME are filled in", key));
    }
    return summary;
}

void Import::note_annotations(const YamlNode& rule) {
    const YamlNode* const annotations = rule.find("annotations");
    if (annotations == nullptr) return;
    const YamlNode* const text = text_of(*annotations);
    for (const auto& [key, value] : annotations->entries) {
        if (&value == text) continue;
        note(value, fmt::format("annotation {}: not kept: a rule has one text, its summary", key));
    }
}

bool Import::read_duration(const YamlNode& rule, std::string_view key, std::string& out) {
    const YamlNode* const found = rule.find(key);
    if (found == nullptr || found->scalar == "0" || found->scalar.empty()) return true;
    // In PromQL's own grammar, which has more units than Vigie's.
    const auto parsed = promql::parse(fmt::format("x offset {}", found->scalar));
    if (!parsed || (*parsed)->kind != promql::Kind::kSelector) {
        refuse(*found, fmt::format("{}: '{}' is no duration", key, found->scalar));
        return false;
    }
    out += fmt::format("      {}: {}\n", key, vigie::to_string((*parsed)->offset));
    return true;
}

void Import::read_alert(const YamlNode& rule, const YamlNode* group_labels) {
    const std::string alert = scalar_at(rule, "alert");
    const YamlNode* const expr = rule.find("expr");
    if (expr == nullptr || scalar_at(rule, "expr").empty()) {
        return refuse(rule, fmt::format("alert '{}': has no expr", alert));
    }
    for (const auto& [key, value] : rule.entries) {
        if (key == "alert" || key == "expr" || key == "for" || key == "keep_firing_for" ||
            key == "labels" || key == "annotations") {
            continue;
        }
        return refuse(value, fmt::format("alert '{}': unknown key {}", alert, key));
    }
    const auto expression = filled(*expr, scalar_at(rule, "expr"), 0);
    if (!expression) return;
    detectors::Rule made;
    made.name = alert;
    made.expression = *expression;
    if (const auto detector = detectors::make_rule_detector({.rules = {made}}); !detector) {
        return refuse(*expr, detector.error().message);
    }
    std::string lines;
    if (!read_duration(rule, "for", lines) || !read_duration(rule, "keep_firing_for", lines))
        return;
    std::vector<const promql::Expression*> selectors;
    const auto tree = promql::parse(*expression);
    promql::collect_selectors(**tree, selectors);
    const auto symptom =
        expression->find("absent") != std::string::npos
            ? schemas::Symptom::kAbsence
            : detectors::symptom_of(selectors.empty() ? "" : selectors[0]->metric, {});
    note_labels(rule.find("labels"));
    note_annotations(rule);
    const std::string summary = summary_of(rule);
    imported_.yaml +=
        fmt::format("    - name: {}\n      expr: {}\n{}      severity: {}\n      symptom: {}\n",
                    yaml_text(unique_name(alert)), yaml_text(*expression), lines,
                    severity_of(rule, group_labels), schemas::to_string(symptom));
    if (!summary.empty()) imported_.yaml += fmt::format("      summary: {}\n", yaml_text(summary));
}

void Import::read_group(const YamlNode& group) {
    for (const auto& [key, value] : group.entries) {
        if (key == "name" || key == "rules" || key == "labels") continue;
        std::string_view why = "is not known here and not kept";
        if (key == "interval") {
            why = "not needed: all rules are evaluated every detect.evaluate_every";
        } else if (key == "limit") {
            why = "not kept: nothing limits how many alerts a rule has";
        } else if (key == "query_offset") {
            why = "not kept: detect.lateness_max says for all how late telemetry may come";
        }
        note(value, fmt::format("{}: {}", key, why));
    }
    const YamlNode* const labels = group.find("labels");
    note_labels(labels);
    const YamlNode* const rules = group.find("rules");
    if (rules == nullptr || rules->kind != Kind::kSequence) {
        return refuse(group, "a group needs a list of rules");
    }
    for (const auto& rule : rules->items) {
        if (++rules_ > kRulesMax) return refuse(rule, fmt::format("more than {} rules", kRulesMax));
        if (!scalar_at(rule, "record").empty()) {
            note(rule, fmt::format("recording rule '{}': not kept; its expression stands where it "
                                   "is read",
                                   scalar_at(rule, "record")));
        } else if (!scalar_at(rule, "alert").empty()) {
            read_alert(rule, labels);
        } else {
            refuse(rule, "a rule needs alert or record");
        }
    }
}

Result<Imported> Import::run(const YamlNode& root) {
    const YamlNode* const groups = root.find("groups");
    if (groups == nullptr || groups->kind != Kind::kSequence) {
        return fail(
            ErrorKind::kInvalid,
            fmt::format("{}: this is no rule file of Prometheus: 'groups' is missing", file_));
    }
    for (const auto& group : groups->items) note_records(group);
    for (const auto& group : groups->items) read_group(group);
    imported_.yaml = imported_.yaml.empty() ? "detect: {}\n"
                                            : fmt::format("detect:\n  rules:\n{}", imported_.yaml);
    return std::move(imported_);
}

}  // namespace

Result<Imported> import_prometheus_rules(const std::string& text, const std::string& file,
                                         std::set<std::string>& names) {
    const auto root = parse_yaml(text);
    if (!root) return fail(ErrorKind::kInvalid, fmt::format("{}: {}", file, root.error().message));
    return Import(text, file, names).run(*root);
}

int run_import_prometheus_rules(const std::vector<std::string>& files) {
    std::size_t refusals = 0;
    bool first = true;
    std::set<std::string> names;
    for (const auto& file : files) {
        const auto text = read_file(file, kFileBytesMax);
        const auto imported =
            text ? import_prometheus_rules(*text, file, names) : fail(text.error());
        if (!imported) {
            fmt::print(stderr, "vigie: {}\n", imported.error().message);
            return 1;
        }
        // One list for all files.
        constexpr std::string_view kHead = "detect:\n  rules:\n";
        std::string_view yaml = imported->yaml;
        if (!first && yaml.starts_with(kHead)) yaml.remove_prefix(kHead.size());
        if (yaml != "detect: {}\n") {
            fmt::print("{}", yaml);
            first = false;
        }
        for (const auto& line : imported->notes) fmt::print(stderr, "note: {}\n", line);
        for (const auto& line : imported->refusals) fmt::print(stderr, "refused: {}\n", line);
        refusals += imported->refusals.size();
    }
    if (first) fmt::print("detect: {{}}\n");
    if (refusals == 0) return 0;
    fmt::print(stderr, "vigie: {} rules cannot be expressed; the rest is above\n", refusals);
    return 1;
}

}  // namespace vigie::app
