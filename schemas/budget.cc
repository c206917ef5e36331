#include "schemas/budget.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "schemas/text.h"

namespace vigie::schemas::detail {

Status Budget::take_item() {
    if (items_ == limits_.items_max) {
        return fail(ErrorKind::kRefused,
                    fmt::format("more than {} items in one body", limits_.items_max));
    }
    ++items_;
    return {};
}

Status Budget::take_bytes(std::size_t count) {
    if (count > limits_.memory_bytes_max - bytes_) {
        return fail(ErrorKind::kRefused,
                    fmt::format("the body asks for more than {} bytes of memory when decoded",
                                limits_.memory_bytes_max));
    }
    bytes_ += count;
    return {};
}

Status Budget::check_count(const Labels& labels) const {
    if (labels.size() < limits_.labels_max) return {};
    return fail(ErrorKind::kInvalid, fmt::format("more than {} labels", limits_.labels_max));
}

Result<Labels> Budget::merge(const Labels& base, Labels more) const {
    // One by one: there are few, and most senders have them in order already.
    Labels all;
    all.reserve(base.size() + more.size());
    all.insert(all.end(), base.begin(), base.end());
    for (auto& [name, value] : more) {
        const auto at = std::ranges::lower_bound(all, name, {}, &Labels::value_type::first);
        if (at != all.end() && at->first == name) {
            at->second = std::move(value);
        } else {
            all.emplace(at, std::move(name), std::move(value));
        }
    }
    if (all.size() > limits_.labels_max) {
        return fail(ErrorKind::kInvalid, fmt::format("more than {} labels", limits_.labels_max));
    }
    return all;
}

std::string clean_label(std::string_view text, const Budget& budget) {
    return clean_text(text, budget.limits().label_bytes_max);
}

}  // namespace vigie::schemas::detail
