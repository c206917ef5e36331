#include "ingest/scrape_page.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "schemas/write_request.h"

namespace vigie::ingest {

schemas::Labels join_labels(schemas::Labels own, const schemas::Labels& target, bool honor_labels) {
    const auto has = [](const schemas::Labels& labels, std::string_view name) {
        return std::ranges::any_of(labels, [&](const auto& pair) { return pair.first == name; });
    };
    schemas::Labels out;
    out.reserve(own.size() + target.size());
    for (const auto& pair : target) {
        if (!honor_labels || !has(own, pair.first)) out.push_back(pair);
    }
    for (auto& [name, value] : own) {
        std::string as = std::move(name);
        if (!honor_labels) {
            while (has(target, as) || (as.starts_with("exported_") && has(out, as))) {
                as.insert(0, "exported_");
            }
        }
        out.emplace_back(std::move(as), std::move(value));
    }
    std::ranges::sort(out);
    return out;
}

Status ScrapedPage::on_type(std::string_view family, schemas::ExposedType type) {
    families_.push_back({std::string(family), type});
    return {};
}

Status ScrapedPage::on_sample(const schemas::ExposedSample& sample) {
    const bool own_time = honor_timestamps_ && sample.at.has_value();
    samples_.push_back(
        {schemas::encode_series(sample.metric, join_labels(sample.labels, labels_, honor_labels_)),
         sample.value, own_time ? *sample.at : at_, own_time});
    return {};
}

std::vector<std::string> files_of(const std::string& pattern) {
    const std::filesystem::path path(pattern);
    const std::string name = path.filename().string();
    const auto star = name.find('*');
    if (star == std::string::npos) return {pattern};
    const std::string before = name.substr(0, star);
    const std::string after = name.substr(star + 1);
    std::vector<std::string> out;
    std::error_code error;
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
        const std::string found = it->path().filename().string();
        if (found.size() >= before.size() + after.size() && found.starts_with(before) &&
            found.ends_with(after)) {
            out.push_back(it->path().string());
        }
    }
    std::ranges::sort(out);
    return out;
}

}  // namespace vigie::ingest
