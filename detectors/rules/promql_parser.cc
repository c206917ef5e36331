#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "detectors/rules/promql.h"
#include "detectors/rules/promql_lexer.h"
#include "detectors/rules/promql_words.h"

namespace vigie::detectors::promql {

namespace {

using std::chrono::milliseconds;

constexpr int kUnaryStrength = 6;

bool is_word(const Token& token, std::string_view text) {
    return token.kind == Token::Kind::kName && token.text == text;
}

// Recursive descent; after the first fault everything returns at once.
class Parser {
public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    std::expected<ExpressionPtr, Fault> run() {
        ExpressionPtr root = binary(1);
        if (root && token().kind != Token::Kind::kEnd) {
            root = wrong(token(), fmt::format("'{}' cannot stand here", token().text));
        }
        if (!root) return std::unexpected(std::move(*fault_));
        return root;
    }

private:
    const Token& token() const { return tokens_[at_]; }
    bool is_mark(std::string_view text) const {
        return token().kind == Token::Kind::kMark && token().text == text;
    }
    bool take_mark(std::string_view text) {
        if (!is_mark(text)) return false;
        ++at_;
        return true;
    }
    bool take_word(std::string_view text) {
        if (!is_word(token(), text)) return false;
        ++at_;
        return true;
    }
    bool need_mark(std::string_view text) {
        if (take_mark(text)) return true;
        wrong(token(), fmt::format("'{}' is expected here", text));
        return false;
    }

    ExpressionPtr wrong(std::size_t at, std::string what) {
        if (!fault_) fault_ = Fault{at, std::move(what)};
        return nullptr;
    }
    ExpressionPtr wrong(const Token& token, std::string what) {
        return wrong(token.begin, token.kind == Token::Kind::kEnd ? "the expression ends too early"
                                                                  : std::move(what));
    }

    bool refuse(const Token& where, std::string what) {
        wrong(where, std::move(what));
        return false;
    }

    const OperatorWord* operator_here() const {
        const bool may = token().kind == Token::Kind::kMark || token().kind == Token::Kind::kName;
        return may ? operator_of(token().text) : nullptr;
    }

    ExpressionPtr make(Kind kind, std::size_t begin) const {
        auto made = std::make_unique<Expression>();
        made->kind = kind;
        made->begin = begin;
        return made;
    }

    ExpressionPtr close(ExpressionPtr made) const {
        made->end = tokens_[at_ - 1].end;
        return made;
    }

    // Operators of at least that strength. The depth counts operands too: a tree is walked by
    // recursion, and a long chain is as deep as it is long.
    ExpressionPtr binary(int strength) {
        ExpressionPtr left = unary();
        int chain = 0;
        while (left) {
            const OperatorWord* const word = operator_here();
            if (word == nullptr || word->strength < strength) return left;
            if (++chain > kDepthMax) return wrong(token(), "too many operators in a row");
            auto made = make(Kind::kBinary, left->begin);
            made->op = word->op;
            const std::size_t place = token().begin;
            ++at_;
            if (!modifiers(*made)) return nullptr;
            const bool to_the_right = word->op == Operator::kPower;
            ExpressionPtr right = binary(to_the_right ? word->strength : word->strength + 1);
            if (!right) return nullptr;
            made->operands.push_back(std::move(left));
            made->operands.push_back(std::move(right));
            if (!check_binary(*made, place)) return nullptr;
            left = close(std::move(made));
        }
        return nullptr;
    }

    bool modifiers(Expression& made) {
        if (is_word(token(), "bool")) {
            if (!is_comparison(made.op)) return refuse(token(), "bool is for comparisons");
            made.as_bool = take_word("bool");
        }
        for (const std::string_view word : {"on", "ignoring"}) {
            if (!take_word(word)) continue;
            made.with = word == "on";
            if (!label_list(made.labels)) return false;
            for (const std::string_view group : {"group_left", "group_right"}) {
                if (!take_word(group)) continue;
                if (is_set(made.op)) {
                    return refuse(token(), "and, or, unless need no group_left or group_right");
                }
                made.group =
                    group == "group_left" ? Expression::Group::kLeft : Expression::Group::kRight;
                if (is_mark("(") && !label_list(made.include)) return false;
            }
        }
        return true;
    }

    bool check_binary(Expression& made, std::size_t place) {
        const Type left = made.operands[0]->type;
        const Type right = made.operands[1]->type;
        for (const auto& operand : made.operands) {
            if (operand->type != Type::kRange) continue;
            wrong(operand->begin, "a range can only be an argument of a function");
            return false;
        }
        const bool scalars = left == Type::kScalar && right == Type::kScalar;
        if (is_set(made.op) && (left != Type::kVector || right != Type::kVector)) {
            wrong(place, "and, or, unless need series on both sides");
            return false;
        }
        if (scalars && is_comparison(made.op) && !made.as_bool) {
            wrong(place, "a comparison of two numbers needs bool");
            return false;
        }
        made.type = scalars ? Type::kScalar : Type::kVector;
        return true;
    }

    ExpressionPtr unary() {
        if (++depth_ > kDepthMax) return wrong(token(), "nested too deeply");
        ExpressionPtr made;
        const std::size_t begin = token().begin;
        if (take_mark("-")) {
            made = make(Kind::kNegate, begin);
            ExpressionPtr operand = binary(kUnaryStrength);
            if (!operand) return nullptr;
            if (operand->type == Type::kRange) {
                return wrong(operand->begin, "a range can only be an argument of a function");
            }
            made->type = operand->type;
            made->operands.push_back(std::move(operand));
            made = close(std::move(made));
        } else if (take_mark("+")) {
            made = binary(kUnaryStrength);
        } else {
            made = suffixed(primary());
        }
        --depth_;
        return made;
    }

    // What may stand behind an expression.
    ExpressionPtr suffixed(ExpressionPtr made) {
        while (made) {
            if (is_mark("[")) {
                if (made->kind != Kind::kSelector || made->type == Type::kRange) {
                    return wrong(token(),
                                 "a subquery is not supported: give the inner expression "
                                 "a rule of its own");
                }
                if (!range(*made)) return nullptr;
            } else if (is_word(token(), "offset")) {
                if (!offset(*made)) return nullptr;
            } else if (is_mark("@")) {
                return wrong(token(), "@ is not supported: a rule is about now");
            } else {
                return made;
            }
        }
        return nullptr;
    }

    bool range(Expression& made) {
        ++at_;
        if (token().kind != Token::Kind::kDuration || token().number <= 0) {
            return refuse(token(), "a duration is expected here, such as 5m");
        }
        made.range = milliseconds(static_cast<std::int64_t>(token().number));
        ++at_;
        if (is_mark(":")) return refuse(token(), "a subquery is not supported");
        if (made.offset.count() != 0) return refuse(token(), "the range stands before the offset");
        made.type = Type::kRange;
        if (!need_mark("]")) return false;
        made.end = tokens_[at_ - 1].end;
        return true;
    }

    bool offset(Expression& made) {
        if (made.kind != Kind::kSelector || made.offset.count() != 0) {
            return refuse(token(), "offset can only stand behind a selector, once");
        }
        ++at_;
        if (is_mark("-")) return refuse(token(), "a rule cannot look into the future");
        if (token().kind != Token::Kind::kDuration) {
            return refuse(token(), "a duration is expected here, such as 5m");
        }
        made.offset = milliseconds(static_cast<std::int64_t>(token().number));
        ++at_;
        made.end = tokens_[at_ - 1].end;
        return true;
    }

    ExpressionPtr primary() {
        const Token& first = token();
        if (first.kind == Token::Kind::kNumber) {
            auto made = make(Kind::kNumber, first.begin);
            made->number = first.number;
            ++at_;
            return close(std::move(made));
        }
        if (take_mark("(")) {
            ExpressionPtr inside = binary(1);
            if (!inside || !need_mark(")")) return nullptr;
            // `x[5m]` may not stand behind a parenthesis, `(x)[5m]` is a subquery's beginning.
            if (is_mark("[")) return wrong(token(), "a subquery is not supported");
            return inside;
        }
        if (is_mark("{")) return selector(make(Kind::kSelector, first.begin));
        if (first.kind == Token::Kind::kString) {
            return wrong(first, "a text cannot stand here");
        }
        if (first.kind != Token::Kind::kName) {
            return wrong(first, fmt::format("'{}' cannot stand here", first.text));
        }
        return named();
    }

    ExpressionPtr named() {
        const Token& first = token();
        const Token& next = tokens_[at_ + 1];
        const bool called = next.kind == Token::Kind::kMark && next.text == "(";
        const bool grouped = is_word(next, "by") || is_word(next, "without");
        if (called || grouped) {
            if (const auto known = aggregate_of(first.text)) {
                auto made = make(Kind::kAggregate, first.begin);
                made->aggregate = *known;
                return aggregate(std::move(made));
            }
        }
        if (called || grouped) return call();
        auto word = std::string(first.text);
        std::ranges::transform(word, word.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
        if (word == "inf" || word == "nan") return wrong(first, "Inf and NaN are not supported");
        if (operator_here() != nullptr || word == "offset" || word == "on" || word == "bool") {
            return wrong(first, fmt::format("'{}' cannot stand here", first.text));
        }
        auto made = make(Kind::kSelector, first.begin);
        made->metric = first.text;
        ++at_;
        return selector(std::move(made));
    }

    ExpressionPtr selector(ExpressionPtr made) {
        made->type = Type::kVector;
        const Token& first = token();
        if (take_mark("{")) {
            while (!take_mark("}")) {
                if (!matcher(*made)) return nullptr;
                if (!is_mark("}") && !need_mark(",")) return nullptr;
            }
        }
        if (made->metric.empty()) return wrong(first, "a selector needs the name of a metric");
        if (made->metric == "ALERTS" || made->metric == "ALERTS_FOR_STATE") {
            return wrong(made->begin,
                         "ALERTS is Prometheus' own: name other rules by all_of, any_of, "
                         "none_of instead");
        }
        made->selector = selectors_++;
        return close(std::move(made));
    }

    bool matcher(Expression& made) {
        const Token name = token();
        if (name.kind != Token::Kind::kName && name.kind != Token::Kind::kString) {
            return refuse(name, "the name of a label is expected here");
        }
        ++at_;
        const bool is_name = name.text == "__name__";
        const Token op = token();
        if (name.kind == Token::Kind::kString && (is_mark(",") || is_mark("}"))) {
            return metric_name(made, name, name.text);
        }
        schemas::Matcher made_matcher;
        made_matcher.name = name.text;
        made_matcher.regex = op.text == "=~" || op.text == "!~";
        made_matcher.equal = op.text == "=" || op.text == "=~";
        const bool known = made_matcher.regex || op.text == "=" || op.text == "!=";
        if (op.kind != Token::Kind::kMark || !known)
            return refuse(op, "one of = != =~ !~ is expected");
        ++at_;
        const Token value = token();
        if (value.kind != Token::Kind::kString)
            return refuse(value, "a quoted text is expected here");
        ++at_;
        if (is_name) {
            if (op.text != "=") {
                return refuse(op,
                              "a metric must be named: __name__ by an expression would need "
                              "every series");
            }
            return metric_name(made, value, value.text);
        }
        if (made_matcher.regex) {
            if (const auto compiled = schemas::Pattern::compile(value.text); !compiled) {
                return refuse(value, compiled.error().message);
            }
        }
        made_matcher.value = value.text;
        made.matchers.push_back(std::move(made_matcher));
        return true;
    }

    bool metric_name(Expression& made, const Token& where, const std::string& name) {
        if (!made.metric.empty()) return refuse(where, "the metric is named twice");
        made.metric = name;
        return true;
    }

    bool label_list(std::vector<std::string>& labels) {
        if (!need_mark("(")) return false;
        while (!take_mark(")")) {
            if (token().kind != Token::Kind::kName && token().kind != Token::Kind::kString) {
                return refuse(token(), "the name of a label is expected here");
            }
            labels.push_back(token().text);
            ++at_;
            if (!is_mark(")") && !need_mark(",")) return false;
        }
        std::ranges::sort(labels);
        return true;
    }

    bool grouping(Expression& made) {
        const bool by = is_word(token(), "by");
        if (!by && !is_word(token(), "without")) return true;
        ++at_;
        made.with = by;
        grouped_ = true;
        return label_list(made.labels);
    }

    ExpressionPtr aggregate(ExpressionPtr made) {
        made->type = Type::kVector;
        ++at_;
        made->with = true;  // Without a list: by nothing.
        grouped_ = false;
        if (!grouping(*made) || !need_mark("(")) return nullptr;
        const bool before = grouped_;
        ExpressionPtr operand = binary(1);
        if (!operand) return nullptr;
        if (operand->type != Type::kVector) {
            return wrong(operand->begin, fmt::format("series are expected here, this is {}",
                                                     type_name(operand->type)));
        }
        made->operands.push_back(std::move(operand));
        if (!need_mark(")")) return nullptr;
        if (!before && !grouping(*made)) return nullptr;
        return close(std::move(made));
    }

    ExpressionPtr call() {
        const Token name = token();
        const Signature* const known = signature_of(name.text);
        if (known == nullptr) {
            const auto why = why_not(name.text);
            return wrong(name,
                         why ? fmt::format("'{}' is not supported: {}", name.text, *why)
                             : fmt::format("'{}' is not a function that is supported", name.text));
        }
        ++at_;
        auto made = make(Kind::kCall, name.begin);
        made->function = known->function;
        made->type = known->result;
        if (!need_mark("(")) return nullptr;
        while (!take_mark(")")) {
            ExpressionPtr operand = binary(1);
            if (!operand) return nullptr;
            const std::size_t number = made->operands.size();
            if (number >= known->operands.size()) {
                return wrong(operand->begin, fmt::format("{} takes {} arguments", known->name,
                                                         known->operands.size()));
            }
            if (operand->type != known->operands[number]) {
                return wrong(
                    operand->begin,
                    fmt::format("{} needs {} here, this is {}", known->name,
                                type_name(known->operands[number]), type_name(operand->type)));
            }
            made->operands.push_back(std::move(operand));
            if (!is_mark(")") && !need_mark(",")) return nullptr;
        }
        if (made->operands.size() < known->operands.size()) {
            return wrong(name,
                         fmt::format("{} takes {} arguments", known->name, known->operands.size()));
        }
        return close(std::move(made));
    }

    const std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::size_t selectors_ = 0;
    bool grouped_ = false;
    std::optional<Fault> fault_;
};

}  // namespace

std::expected<ExpressionPtr, Fault> parse(std::string_view text) {
    if (text.size() > kTextBytesMax) {
        return std::unexpected(
            Fault{0, fmt::format("the expression is longer than {} bytes", kTextBytesMax)});
    }
    auto tokens = tokens_of(text);
    if (!tokens) return std::unexpected(std::move(tokens).error());
    return Parser(*std::move(tokens)).run();
}

void collect_selectors(const Expression& expression, std::vector<const Expression*>& out) {
    if (expression.kind == Kind::kSelector) out.push_back(&expression);
    for (const auto& operand : expression.operands) collect_selectors(*operand, out);
}

}  // namespace vigie::detectors::promql
