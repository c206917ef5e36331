#include "http/frames.h"

#include <algorithm>
#include <charconv>

namespace vigie::http {

namespace {

constexpr std::size_t kDigitsMax = 9;

}  // namespace

// A message at `from`; the next one begins at `end`.
std::optional<std::string> FrameSplitter::take(std::size_t from, std::size_t size,
                                               std::size_t end) {
    std::string message = buffer_.substr(from, std::min(size, frame_bytes_max_));
    if (size > frame_bytes_max_) ++cut_;
    buffer_.erase(0, end);
    return message;
}

std::optional<std::string> FrameSplitter::next() {
    while (true) {
        if (skip_bytes_ > 0) {
            const auto skipped = std::min(skip_bytes_, buffer_.size());
            buffer_.erase(0, skipped);
            skip_bytes_ -= skipped;
            if (skip_bytes_ > 0) return std::nullopt;
        }
        const auto line_end = buffer_.find('\n');
        if (skip_to_line_end_) {
            buffer_.erase(0, line_end == std::string::npos ? buffer_.size() : line_end + 1);
            if (line_end == std::string::npos) return std::nullopt;
            skip_to_line_end_ = false;
            continue;
        }
        if (buffer_.empty()) return std::nullopt;
        // Senders that count may still end their messages with a line end.
        if (buffer_[0] == '\n' || buffer_[0] == '\r' || buffer_[0] == '\0') {
            buffer_.erase(0, 1);
            continue;
        }
        const auto digits = std::min(buffer_.find_first_not_of("0123456789"), buffer_.size());
        if (digits == buffer_.size() && digits <= kDigitsMax && line_end == std::string::npos) {
            return std::nullopt;
        }
        std::size_t size = 0;
        const bool counted = digits > 0 && digits <= kDigitsMax && digits < buffer_.size() &&
                             buffer_[digits] == ' ' && buffer_[0] != '0';
        if (counted) {
            std::from_chars(buffer_.data(), buffer_.data() + digits, size);
            const auto from = digits + 1;
            const auto wanted = std::min(size, frame_bytes_max_);
            if (buffer_.size() - from < wanted) return std::nullopt;
            skip_bytes_ = size - wanted;
            auto message = take(from, size, from + wanted);
            if (message->empty()) continue;
            return message;
        }
        if (line_end != std::string::npos) return take(0, line_end, line_end + 1);
        if (buffer_.size() <= frame_bytes_max_) return std::nullopt;
        skip_to_line_end_ = true;
        return take(0, buffer_.size(), buffer_.size());
    }
}

std::optional<std::string> FrameSplitter::rest() {
    const bool skipping = skip_bytes_ > 0 || skip_to_line_end_;
    std::string message = buffer_.substr(0, frame_bytes_max_);
    buffer_.clear();
    if (skipping || message.empty()) return std::nullopt;
    return message;
}

}  // namespace vigie::http
