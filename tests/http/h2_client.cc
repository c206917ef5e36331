#include "tests/http/h2_client.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

namespace vigie::http::test {

namespace {

std::vector<nghttp2_nv> fields_of(H2Client::Fields& all) {
    std::vector<nghttp2_nv> fields;
    for (auto& [name, value] : all) {
        fields.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                          reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                          NGHTTP2_NV_FLAG_NONE});
    }
    return fields;
}

}  // namespace

struct ClientCallbacks {
    static H2Client& of(void* user) { return *static_cast<H2Client*>(user); }

    static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* user) {
        const auto text = [](const std::uint8_t* bytes, std::size_t size) {
            return std::string(reinterpret_cast<const char*>(bytes), size);
        };
        of(user).answers_[frame->hd.stream_id].headers[text(name, name_size)] =
            text(value, value_size);
        return 0;
    }
    static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                    std::size_t size, void* user) {
        of(user).answers_[id].body.append(reinterpret_cast<const char*>(bytes), size);
        return 0;
    }
    static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_GOAWAY) of(user).goodbye_ = frame->goaway.error_code;
        return 0;
    }
    static int close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
        of(user).answers_[id].over = true;
        of(user).answers_[id].error = error;
        return 0;
    }
    static ssize_t send(nghttp2_session* session, std::int32_t id, std::uint8_t* into,
                        std::size_t size, std::uint32_t* flags, nghttp2_data_source*, void* user) {
        auto& [body, open] = of(user).bodies_[id];
        const std::size_t part = std::min(size, body.size());
        std::copy_n(body.data(), part, reinterpret_cast<char*>(into));
        body.erase(0, part);
        if (body.empty() && !open) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            auto trailers = fields_of(of(user).trailers_[id]);
            if (!trailers.empty()) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
            }
        }
        if (part == 0 && open) return NGHTTP2_ERR_DEFERRED;
        return static_cast<ssize_t>(part);
    }
};

H2Client::H2Client(std::uint16_t port) : raw_(port) {
    REQUIRE(raw_.connected());
    nghttp2_session_callbacks* callbacks = nullptr;
    REQUIRE(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, ClientCallbacks::header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, ClientCallbacks::data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, ClientCallbacks::frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, ClientCallbacks::close);
    REQUIRE(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
}

H2Client::~H2Client() {
    nghttp2_session_del(session_);
}

std::int32_t H2Client::begin(std::string_view method, std::string_view path, std::string body,
                             const Fields& headers, bool open, const Fields& trailers) {
    Fields all{{":method", std::string(method)},
               {":scheme", "http"},
               {":authority", "127.0.0.1"},
               {":path", std::string(path)}};
    all.insert(all.end(), headers.begin(), headers.end());
    const std::vector<nghttp2_nv> fields = fields_of(all);
    const bool none = body.empty() && !open;
    nghttp2_data_provider source{{.ptr = nullptr}, ClientCallbacks::send};
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                                   none ? nullptr : &source, nullptr);
    REQUIRE(id > 0);
    bodies_[id] = {std::move(body), open};
    trailers_[id] = trailers;
    flush();
    return id;
}

void H2Client::reset(std::int32_t stream) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    flush();
}

void H2Client::ping() {
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    flush();
}

bool H2Client::flush() {
    while (true) {
        const std::uint8_t* bytes = nullptr;
        const auto size = nghttp2_session_mem_send(session_, &bytes);
        if (size <= 0) return size == 0;
        if (!raw_.send({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)})) {
            return false;
        }
    }
}

bool H2Client::step() {
    flush();
    pollfd waiting{raw_.descriptor(), POLLIN, 0};
    if (poll(&waiting, 1, 10'000) <= 0) return false;
    std::array<std::uint8_t, 16 * 1024> bytes{};
    const auto size = recv(raw_.descriptor(), bytes.data(), bytes.size(), 0);
    if (size <= 0) {
        closed_ = true;
        return false;
    }
    if (nghttp2_session_mem_recv(session_, bytes.data(), static_cast<std::size_t>(size)) < 0) {
        return false;
    }
    flush();
    return true;
}

const H2Client::Answer& H2Client::wait(std::int32_t stream) {
    while (!answers_[stream].over && step()) {
    }
    return answers_[stream];
}

bool H2Client::wait_closed() {
    while (step()) {
    }
    return closed_;
}

}  // namespace vigie::http::test
