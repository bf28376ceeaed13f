"""Diffusion bases: sizes, encoding and decoding, folders that diffusers reads too, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reage.errors import WeightsError
from reage.nets.diffusion import DiffusionBase, base_hash, build_base, load_base, save_base, small, tiny
from reage.nets.tokens import build_tokenizer

PROVENANCE = {"recipe": "none", "seed": 3, "commit": "abc"}
PROMPT = "wrinkle score 73"


def make_base() -> DiffusionBase:
    torch.manual_seed(0)
    return build_base(tiny(), build_tokenizer(["photo of a face, wrinkle score 1"]), "made")


@pytest.fixture(scope="module")
def base() -> DiffusionBase:
    return make_base()


@pytest.fixture(scope="module")
def saved(base: DiffusionBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases") / "made"
    save_base(folder, base, PROVENANCE)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "damaged"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def weights_of(base: DiffusionBase) -> dict[str, torch.Tensor]:
    parts = {"vae": base.vae, "unet": base.unet, "text": base.text_encoder}
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# Use


def test_the_small_base_is_small() -> None:
    numbers = build_base(small(), build_tokenizer([PROMPT])).num_parameters
    assert numbers.keys() == {"autoencoder", "denoiser", "text", "identity"}
    assert sum(numbers.values()) < 12e6
    assert numbers["autoencoder"] < 1.5e6
    assert numbers["text"] < 0.7e6


def test_shapes_from_picture_to_noise(base: DiffusionBase) -> None:
    assert (base.factor, base.latent_channels, base.max_tokens) == (2, 4, 32)
    x = 2 * torch.rand(2, 3, 24, 16) - 1
    latents, text = base.encode(x), base.embed([PROMPT, "a face " * 99])
    assert latents.shape == (2, 4, 12, 8)
    assert text.shape == (2, 32, 16)
    assert base.decode(latents).shape == x.shape
    noise = base.predict(latents, torch.tensor([5, 900]), text)
    assert noise.shape == latents.shape
    noise.mean().backward()
    assert base.text_encoder.get_input_embeddings().weight.grad is not None


def test_latents_are_scaled_and_shifted() -> None:
    base = make_base()
    x = 2 * torch.rand(1, 3, 16, 16) - 1
    with torch.inference_mode():
        plain, picture = base.encode(x) / 0.18215, base.decode(base.encode(x))
        base.vae.register_to_config(scaling_factor=2.0, shift_factor=0.5)
        torch.testing.assert_close(base.encode(x), (plain - 0.5) * 2)
        torch.testing.assert_close(base.decode(base.encode(x)), picture)


def test_the_same_seed_builds_the_same_base(base: DiffusionBase) -> None:
    again = weights_of(make_base())
    assert all(torch.equal(value, again[name]) for name, value in weights_of(base).items())


def test_a_step_and_a_text_change_the_noise(base: DiffusionBase) -> None:
    latents = torch.randn(1, 4, 8, 8)
    with torch.inference_mode():
        one, later, other = (
            base.predict(latents, torch.tensor([step]), base.embed([text]))
            for step, text in [(10, PROMPT), (800, PROMPT), (10, "a face")]
        )
    assert not torch.equal(one, later)
    assert not torch.equal(one, other)


# Save and load


def test_a_loaded_base_is_the_saved_one_in_16_bits(base: DiffusionBase, saved: Path) -> None:
    loaded = load_base(saved)
    again = weights_of(loaded)
    for name, value in weights_of(base).items():
        assert torch.equal(value.half().float(), again[name]), name
    assert loaded.provenance == PROVENANCE
    assert (loaded.name, loaded.weights_hash) == (str(saved), base_hash(saved))
    torch.testing.assert_close(loaded.scheduler.alphas_cumprod, base.scheduler.alphas_cumprod)
    assert loaded.tokenizer([PROMPT]).input_ids == base.tokenizer([PROMPT]).input_ids
    parts = (loaded.vae, loaded.unet, loaded.text_encoder)
    assert not any(part.training or weight.requires_grad for part in parts for weight in part.parameters())
    assert {value.dtype for value in weights_of(base).values()} == {torch.float32}, "saving leaves the base as it is"


def test_the_schedule_is_that_of_stable_diffusion(saved: Path) -> None:
    config = load_base(saved).scheduler.config
    assert (config.beta_start, config.beta_end, config.beta_schedule) == (0.00085, 0.012, "scaled_linear")
    assert (config.prediction_type, config.num_train_timesteps, config.steps_offset) == ("epsilon", 1000, 1)
    assert (config.clip_sample, config.set_alpha_to_one) == (False, False)


def test_a_text_encoder_under_its_older_names_loads_too(folder: Path) -> None:
    file, old = folder / "text_encoder" / "model.safetensors", load_base(folder)
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})
    torch.testing.assert_close(load_base(folder).embed([PROMPT]), old.embed([PROMPT]))


def test_a_scheduler_of_another_kind_becomes_ddim(folder: Path) -> None:
    from diffusers import PNDMScheduler

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    PNDMScheduler(**betas, skip_prk_steps=True, steps_offset=1).save_pretrained(folder / "scheduler")
    scheduler = load_base(folder).scheduler
    assert type(scheduler).__name__ == "DDIMScheduler"
    assert not scheduler.config.clip_sample


def test_a_cpu_never_computes_in_fp16(saved: Path) -> None:
    assert load_base(saved, fp16=True).unet.dtype == torch.float32


def test_fp16_takes_and_returns_float32(saved: Path) -> None:
    base = load_base(saved, "meta")
    assert base.unet.dtype == base.vae.dtype == torch.float16
    latents = base.encode(torch.zeros(1, 3, 16, 16))
    noise = base.predict(latents, torch.tensor([3]), base.embed([PROMPT]))
    assert (latents.dtype, noise.dtype, noise.device.type) == (torch.float32, torch.float32, "meta")
    assert load_base(saved, "meta", fp16=False).unet.dtype == torch.float32


def test_loading_and_saving_print_nothing(saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_base(tmp_path / "again", load_base(saved))
    assert capfd.readouterr() == ("", "")
    assert load_base(tmp_path / "again").provenance == PROVENANCE
    assert base_hash(tmp_path / "again") == base_hash(saved)


def test_a_saved_base_contains_no_local_path(saved: Path, tmp_path: Path) -> None:
    save_base(tmp_path / "again", load_base(saved))
    texts = [path.read_text() for path in (tmp_path / "again").rglob("*.json")]
    assert texts
    assert not any(str(saved.parent) in text for text in texts)


def test_diffusers_reads_it_too(saved: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(saved, safety_checker=None, feature_extractor=None)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(PROMPT, num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


def test_a_shipped_base_is_found_by_its_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reage.nets.diffusion_folder.SHIPPED", saved.parent)
    assert load_base("made").name == "made"
    assert base_hash("made") == base_hash(saved)
    with pytest.raises(WeightsError, match=re.escape("use a shipped one (made)")):
        load_base("nothing")


def test_a_base_replaces_a_base_and_nothing_else(base: DiffusionBase, folder: Path, tmp_path: Path) -> None:
    other = make_base()
    other.unet.conv_in.bias.data += 1
    old = base_hash(folder)
    save_base(folder, other)
    assert base_hash(folder) != old
    assert load_base(folder).provenance == {}
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "me.jpg").touch()
    with pytest.raises(WeightsError, match="something other than a diffusion base"):
        save_base(photos, base)
    with pytest.raises(WeightsError, match="could not be written"):
        save_base(photos / "me.jpg" / "base", base)
    assert {path.name for path in tmp_path.iterdir()} == {"damaged", "photos"}


def test_a_base_that_cannot_be_written_leaves_the_old_one(base: DiffusionBase, folder: Path) -> None:
    old = base_hash(folder)
    with pytest.raises(TypeError):
        save_base(folder, base, {"seed": object()})
    assert base_hash(folder) == old
    assert [path.name for path in folder.parent.iterdir()] == ["damaged"]


# Refusals


@pytest.mark.parametrize("name", ["nothing", "https://a.org/b/c", "x.safetensors", Path("owner/name")])
def test_an_unknown_name_is_refused(name: str | Path) -> None:
    with pytest.raises(WeightsError, match=r"There is no diffusion base .* OWNER/NAME on the hub\.$"):
        load_base(name)


@pytest.mark.usefixtures("offline")
def test_a_hub_that_cannot_be_reached_is_reported() -> None:
    with pytest.raises(WeightsError, match=r"'owner/name' .* could not be fetched .* give its folder\.$"):
        load_base("owner/name")


@pytest.mark.parametrize(
    "part", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "model_index.json", "tokenizer"]
)
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, part: str) -> None:
    lost = folder / part
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    with pytest.raises(WeightsError, match=f"lacks {re.escape(part)}.*; give a folder that diffusers wrote"):
        load_base(folder)


@pytest.mark.parametrize(
    "part", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors", "vae/config.json"]
)
def test_a_damaged_part_is_refused(folder: Path, part: str) -> None:
    (folder / part).write_bytes((folder / part).read_bytes()[:100])
    with pytest.raises(WeightsError, match="is damaged or no Stable Diffusion"):
        load_base(folder)


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_a_missing_weight_is_refused(folder: Path, part: str) -> None:
    tensors = load_file(folder / part)
    tensors.pop(sorted(tensors)[3])
    save_file(tensors, folder / part, {"format": "pt"})
    with pytest.raises(WeightsError, match="is damaged or no Stable Diffusion"):
        load_base(folder)


def test_a_base_that_predicts_something_else_is_refused(folder: Path) -> None:
    edit(folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    with pytest.raises(WeightsError, match=r"predicts v_prediction; .* epsilon .* Stable Diffusion 1\.x or 2\.x-base"):
        load_base(folder)


def test_a_base_for_inpainting_is_refused(base: DiffusionBase, folder: Path) -> None:
    from diffusers import UNet2DConditionModel

    UNet2DConditionModel.from_config(base.unet.config, in_channels=9).save_pretrained(folder / "unet")
    with pytest.raises(WeightsError, match="takes 9 channels and a text of 16, but its other parts give 4 and 16"):
        load_base(folder)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for call in (lambda: load_base("ldm-small"), lambda: build_base(tiny(), build_tokenizer([PROMPT]))):
        with pytest.raises(WeightsError, match=re.escape("pip install 'reage[diffusion]'")):
            call()


# Checkpoints of one file


def to_original(base: DiffusionBase) -> dict[str, torch.Tensor]:
    """The tensors under the names of the original Stable Diffusion checkpoints."""
    layers = base.unet.config.layers_per_block
    last = len(base.unet.config.block_out_channels) - 1
    residual = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    ends = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }

    def down(found: re.Match[str]) -> str:
        block, kind, layer = int(found[1]), found[2], int(found[3])
        place = 1 + block * (layers + 1) + (layers if kind == "downsamplers" else layer)
        return f"input_blocks.{place}." + {"resnets": "0", "attentions": "1", "downsamplers": "0"}[kind]

    def up(found: re.Match[str]) -> str:
        block, kind, layer = int(found[1]), found[2], int(found[3])
        place = block * (layers + 1) + (layers if kind == "upsamplers" else layer)
        return f"output_blocks.{place}." + {"resnets": "0", "attentions": "1", "upsamplers": "2"}[kind]

    def rename_unet(name: str) -> str:
        for new, old in ends.items():
            name = re.sub(rf"^{re.escape(new)}\.", f"{old}.", name)
        name = re.sub(r"^down_blocks\.(\d+)\.(\w+)\.(\d+)", down, name)
        name = re.sub(r"^up_blocks\.(\d+)\.(\w+)\.(\d+)", up, name)
        if name.startswith("input_blocks"):
            name = name.replace(".0.conv.", ".0.op.")
        if "transformer_blocks" in name:
            return name
        return re.sub(r"\.(\w+)\.(weight|bias)$", lambda found: f".{residual.get(found[1], found[1])}.{found[2]}", name)

    def rename_vae(name: str) -> str:
        blocks = len(base.vae.config.block_out_channels) - 1
        name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{blocks - int(found[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{blocks - int(found[1])}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_shortcut", "nin_shortcut")
        for new, old in {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out", "group_norm": "norm"}.items():
            name = name.replace(f"attn_1.{new}.", f"attn_1.{old}.")
        return name.replace("conv_norm_out", "norm_out")

    assert last == 1, "names are counted for two levels"
    tensors = {f"model.diffusion_model.{rename_unet(name)}": value for name, value in base.unet.state_dict().items()}
    for name, value in base.vae.state_dict().items():
        square = "attentions" in name and value.ndim == 2
        tensors[f"first_stage_model.{rename_vae(name)}"] = value[..., None, None] if square else value
    for name, value in base.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    return {name: value.contiguous() for name, value in tensors.items()}


@pytest.mark.parametrize("place", ["beside", "around"])
def test_a_checkpoint_loads_with_the_configs_near_it(
    base: DiffusionBase, saved: Path, tmp_path: Path, place: str
) -> None:
    file = tmp_path / "sd.safetensors"
    without_weights = shutil.ignore_patterns("*.safetensors")
    target = file.with_suffix("") if place == "beside" else tmp_path
    shutil.copytree(saved, target, ignore=without_weights, dirs_exist_ok=True)
    save_file(to_original(base), file)
    loaded = load_base(file)
    again = weights_of(loaded)
    for name, value in weights_of(base).items():
        assert torch.equal(value, again[name]), name
    assert loaded.weights_hash == base_hash(file) != base_hash(saved)


@pytest.mark.usefixtures("offline")
def test_a_checkpoint_alone_needs_the_hub(base: DiffusionBase, tmp_path: Path) -> None:
    save_file(to_original(base), tmp_path / "sd.safetensors")
    with pytest.raises(WeightsError, match=r"has no configs beside it .* put the configs and the tokenizer"):
        load_base(tmp_path / "sd.safetensors")
