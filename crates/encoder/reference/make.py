#!/usr/bin/env python3
"""A tiny random BERT, and what bert-score and transformers make of texts with it.

    make.py model DIRECTORY                            writes the model: config.json, model.safetensors, tokenizer.json, tokenizer_config.json
    make.py cases MODEL FILE [--cases N] [--seed S]    writes the cases, one a line, with the reference values

Needs the packages of requirements.txt; scripts/bertscore installs them. The same versions give the same model byte for byte.
"""

import argparse
import json
import pathlib
import random

import torch

LAYER = 2
WORDS = (
    "the a an of to in is are was be it you we they your our this that for on with as at by from not no yes can may will must should please "
    "order refund parcel account password invoice payment card delivery warehouse customer support ticket return policy price plan contract "
    "email phone address city country street number code date day week month year hour minute time open close send receive change cancel reset "
    "login link page form file button error problem reason answer question help team contact write call wait ready late early free new old good "
    "bad better best long short high low first last next within after before until between and or if when where how what which who why"
).split()
PIECES = "##s ##ed ##ing ##er ##ly ##able ##ness ##ment ##tion ##al ##ful ##less".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'\"()-/@#%&*+=<>[]$€äöüéß日本語中"


def model(directory):
    """Writes the model."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS), *PIECES, *WORDS])
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.decoder = decoders.WordPiece()
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=48, **special)
    fast.save_pretrained(directory)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.35,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(directory)


def text(rng):
    """A text: usual words, words in pieces, other alphabets, marks, nothing, or more than the model reads."""
    kind = rng.random()
    if kind < 0.04:
        return rng.choice(["", " ", "\n\t ", "\u3000"])
    if kind < 0.10:
        return " ".join(rng.choices(WORDS, k=rng.randint(60, 120)))
    n = rng.randint(1, 14)
    parts = []
    for _ in range(n):
        drawn = rng.random()
        if drawn < 0.7:
            parts.append(rng.choice(WORDS))
        elif drawn < 0.8:
            parts.append(rng.choice(WORDS) + rng.choice(PIECES)[2:])
        elif drawn < 0.86:
            parts.append(rng.choice(["Straße", "ÄRGER", "日本語", "中文字", "naïve", "e\u0301te\u0301", "😀", "\u200b", "\u0000x", "ﬁn", "İ", "ǅ"]))
        elif drawn < 0.9:
            parts.append(rng.choice(["[SEP]", "[CLS]", "[MASK]", "[UNK]", "[PAD]", "[sep]"]))
        else:
            parts.append("".join(rng.choices(LETTERS, k=rng.randint(1, 6))))
    words = rng.choice([" ", " ", " ", "  ", "\n", "-"]).join(parts)
    return rng.choice([words, words, words.upper(), words.capitalize() + "."])


def pairs(rng, n):
    """An answer and its references: drawn apart, or one made of the other."""
    for _ in range(n):
        references = [text(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        if rng.random() < 0.5:
            words = references[0].split()
            rng.shuffle(words)
            answer = " ".join(words[: rng.randint(0, len(words))] + rng.choices(WORDS, k=rng.randint(0, 3)))
        else:
            answer = text(rng)
        yield answer, references


def cases(directory, path, n, seed):
    """Writes the cases."""
    import bert_score
    from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

    # bert-score 0.3.13 asks the tokenizer for this where a text is empty; transformers had it until version 5.
    def around(tokenizer, ids):
        return [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]

    PreTrainedTokenizerFast.build_inputs_with_special_tokens = around
    rng = random.Random(f"bertscore {seed}")
    drawn = list(pairs(rng, n))
    # Where every token of a text is a mark that weighs nothing, bert-score divides by 0: no reference value.
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()
    marks = {tokenizer.cls_token_id, tokenizer.sep_token_id}

    def ids(text):
        return tokenizer.encode(text.strip(), truncation=True, max_length=tokenizer.model_max_length)

    def is_defined(text):
        found = ids(text)
        return len(found) == 2 or any(number not in marks for number in found)

    drawn = [(answer, references) for answer, references in drawn if all(map(is_defined, [answer, *references]))]
    answers, references = [answer for answer, _ in drawn], [references for _, references in drawn]
    # One at a time: what is padded is worth at least 0, which is no part of the definition.
    precision, recall, f1 = bert_score.score(answers, references, model_type=str(directory), num_layers=LAYER, batch_size=1, device="cpu")
    with open(path, "w", encoding="utf-8") as file:
        for number, (answer, references) in enumerate(drawn):
            case = {"answer": answer, "references": references, "expected": [value[number].item() for value in (precision, recall, f1)]}
            if number % 10 == 0:
                with torch.no_grad():
                    hidden = model(input_ids=torch.tensor([ids(answer)])).last_hidden_state[0]
                case["vector"] = [round(value, 7) for value in hidden.mean(dim=0).tolist()]
            file.write(json.dumps(case, ensure_ascii=True, separators=(",", ":"), allow_nan=False) + "\n")
    print(f"{len(drawn)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("model").add_argument("directory", type=pathlib.Path)
    of_cases = verbs.add_parser("cases")
    of_cases.add_argument("model", type=pathlib.Path)
    of_cases.add_argument("file", type=pathlib.Path)
    of_cases.add_argument("--cases", type=int, default=320)
    of_cases.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.verb == "model":
        model(args.directory)
    else:
        cases(args.model, args.file, args.cases, args.seed)


if __name__ == "__main__":
    main()
