#include "app/scrape_config.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/yaml.h"
#include "http/client.h"
#include "http/signature.h"

namespace vigie::app {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kTargetFileBytesMax = 4 * 1024 * 1024;
constexpr milliseconds kIntervalMin{100};

bool is_label_name(const std::string& name) {
    const auto part = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::ranges::all_of(name, part);
}

ingest::TargetGroup read_group(Section& section) {
    ingest::TargetGroup group;
    group.targets = section.texts("targets");
    for (const auto& target : group.targets) {
        const auto url = http::parse_url("http://" + target);
        if (!url || target.find('/') != std::string::npos) {
            section.complain("targets", fmt::format("'{}' is not HOST or HOST:PORT", target));
        }
    }
    for (auto& [name, value] : section.text_map("labels")) {
        if (!is_label_name(name) || name.starts_with("__")) {
            section.complain("labels", fmt::format("'{}' cannot name a label here", name));
        }
        group.labels.emplace_back(name, value);
    }
    return group;
}

void read_authorization(Section& section, ingest::ScrapeJob& job) {
    const bool basic = section.has("basic_auth");
    const bool bearer = section.has("authorization");
    if (basic && bearer) section.complain("authorization", "give this or basic_auth, not both");
    if (basic) {
        section.child("basic_auth", [&](Section& part) {
            const auto user = part.text("username");
            if (user.empty()) part.complain("username", "is missing");
            job.authorization =
                "Basic " + http::encode_base64(fmt::format("{}:{}", user, part.secret("password")));
        });
    }
    if (bearer) {
        section.child("authorization", [&](Section& part) {
            job.authorization_type = part.text("type", job.authorization_type);
            const auto credentials = part.text("credentials");
            job.authorization_file = part.text("credentials_file");
            if (credentials.empty() == job.authorization_file.empty()) {
                part.complain("", "needs either credentials or credentials_file");
            }
            if (!credentials.empty()) {
                job.authorization = fmt::format("{} {}", job.authorization_type, credentials);
            }
        });
    }
}

void read_limits(Section& section, ingest::ScrapeJob& job) {
    auto& limits = job.limits;
    const auto size = [&section](std::string_view key, std::size_t fallback, std::int64_t max) {
        return static_cast<std::size_t>(
            section.integer(key, static_cast<std::int64_t>(fallback), 1, max));
    };
    limits.samples_max = size("sample_limit", limits.samples_max, 1'000'000);
    limits.labels_max = size("label_limit", limits.labels_max, 256);
    limits.label_name_bytes_max =
        size("label_name_length_limit", limits.label_name_bytes_max, 4096);
    limits.label_value_bytes_max =
        size("label_value_length_limit", limits.label_value_bytes_max, 65'536);
    job.body_bytes_max = static_cast<std::size_t>(
        section.bytes("body_size_limit", static_cast<std::int64_t>(job.body_bytes_max)));
    if (job.body_bytes_max == 0) section.complain("body_size_limit", "must be at least 1");
}

void read_targets(Section& section, ingest::ScrapeJob& job) {
    section.each("static_configs", [&](Section& part) { job.groups.push_back(read_group(part)); });
    section.each("file_sd_configs", [&](Section& part) {
        for (auto& file : part.texts("files")) {
            const auto slash = file.rfind('/');
            const auto star = file.find('*');
            if (star != std::string::npos && slash != std::string::npos && star < slash) {
                part.complain("files", fmt::format("'{}': only the last part may have *", file));
            }
            job.files.push_back(std::move(file));
        }
        job.refresh = part.duration("refresh_interval", job.refresh, kIntervalMin);
    });
    if (job.groups.empty() && job.files.empty()) {
        section.complain("", "needs static_configs or file_sd_configs: whom to ask");
    }
}

ingest::ScrapeJob read_job(Section& section) {
    ingest::ScrapeJob job;
    job.name = section.text("job_name");
    if (job.name.empty()) section.complain("job_name", "is missing");
    job.interval = section.duration("scrape_interval", job.interval, kIntervalMin);
    // As in Prometheus, a short interval shortens the default.
    job.timeout =
        section.duration("scrape_timeout", std::min(job.timeout, job.interval), milliseconds{1});
    if (job.timeout > job.interval) {
        section.complain("scrape_timeout", "must not be longer than scrape_interval");
    }
    job.metrics_path = section.text("metrics_path", job.metrics_path);
    if (!job.metrics_path.starts_with('/')) section.complain("metrics_path", "must begin with /");
    job.scheme = section.text("scheme", job.scheme);
    if (job.scheme != "http" && job.scheme != "https") {
        section.complain("scheme", "must be http or https");
    }
    for (auto& [name, values] : section.texts_map("params")) {
        for (auto& value : values) job.params.emplace_back(name, std::move(value));
    }
    job.honor_labels = section.boolean("honor_labels", job.honor_labels);
    job.honor_timestamps = section.boolean("honor_timestamps", job.honor_timestamps);
    read_authorization(section, job);
    section.child("tls_config", [&](Section& part) { job.ca_file = part.text("ca_file"); });
    read_limits(section, job);
    read_targets(section, job);
    return job;
}

}  // namespace

void read_scrape(Section& root, ingest::Scraper::Options& options) {
    root.each("scrape_configs", [&](Section& section) {
        auto job = read_job(section);
        const bool known = std::ranges::any_of(
            options.jobs, [&](const auto& other) { return other.name == job.name; });
        if (known) section.complain("job_name", fmt::format("two jobs are named '{}'", job.name));
        options.jobs.push_back(std::move(job));
    });
    root.child("scrape", [&](Section& section) {
        options.threads = static_cast<unsigned>(section.integer("threads", options.threads, 1, 64));
        options.targets_max = static_cast<std::size_t>(section.integer(
            "targets_max", static_cast<std::int64_t>(options.targets_max), 1, 100'000));
    });
    options.read_targets = read_target_file;
}

std::vector<std::string> warnings_of(const ingest::Scraper::Options& options) {
    std::vector<std::string> warnings;
    for (const auto& job : options.jobs) {
        for (const auto& pattern : job.files) {
            for (const auto& file : ingest::files_of(pattern)) {
                const auto read = read_target_file(file);
                if (read || read.error().kind == ErrorKind::kNotFound) continue;
                warnings.push_back(fmt::format("job '{}' goes without these targets: {}", job.name,
                                               read.error().message));
            }
        }
    }
    return warnings;
}

Result<std::vector<ingest::TargetGroup>> read_target_file(const std::string& file) {
    VIGIE_TRY_ASSIGN(const auto text, read_file(file, kTargetFileBytesMax));
    const auto root = parse_yaml(text);
    if (!root) return fail(ErrorKind::kInvalid, fmt::format("{}: {}", file, root.error().message));
    std::vector<ingest::TargetGroup> groups;
    if (root->kind == YamlNode::Kind::kNull) return groups;
    Complaints complaints(file);
    if (root->kind != YamlNode::Kind::kSequence) {
        complaints.add(*root, "", "must be a list of {targets, labels}");
    }
    for (std::size_t i = 0; i < root->items.size(); ++i) {
        Section section(&root->items[i], fmt::format("[{}]", i), complaints);
        groups.push_back(read_group(section));
    }
    if (!complaints.all().empty()) return fail(ErrorKind::kInvalid, complaints.all().front());
    return groups;
}

}  // namespace vigie::app
