# pyright: basic
"""TRL's SFTTrainer, without what it computes at every step beyond the loss.

Left out: entropy and token accuracy, the logits of prompt tokens, the attention mask (``batches.py`` says why),
``datasets.map`` (rows arrive tokenized), telemetry. ``benchmarks/training.py`` measures what that gives.
"""

from __future__ import annotations

from pathlib import Path

import datasets
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from loopwise.train import health
from loopwise.train.batches import IGNORED, Batches
from loopwise.train.settings import SftSettings
from loopwise.types import Progress

_WARMUP = 0.05  # of all steps: AdamW's first steps are blind to the gradient's scale
_LOGGED = 50  # points in the loss history


class CompletionTrainer(SFTTrainer):
    """SFTTrainer over ready batches; the loss is the weighted mean over answer tokens."""

    def __init__(self, batches: Batches, **kwargs):
        # SFTTrainer wants a dataset of rows at construction; what it trains on comes from get_train_dataloader
        row = batches.rows[0]
        placeholder = datasets.Dataset.from_dict({"input_ids": [list(row.ids)], "labels": [list(row.ids)]})
        super().__init__(train_dataset=placeholder, data_collator=lambda rows: rows[0], **kwargs)
        self.batches = batches

    def get_train_dataloader(self) -> DataLoader:
        return DataLoader(self.batches, batch_size=None, shuffle=False)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels_BT, ids_BT = inputs["labels"], inputs["input_ids"]
        learned_BT = labels_BT != IGNORED
        first = int(learned_BT.any(0).to(torch.int8).argmax())  # no row's answer begins before this position
        kept = ids_BT.shape[1] - first + 1  # an answer token is predicted from the position before it
        outputs = model(input_ids=ids_BT, logits_to_keep=kept, use_cache=False)
        learned_BT = learned_BT[:, first:]
        logits_NV = outputs.logits[:, :-1][learned_BT].float()
        losses_N = cross_entropy(logits_NV, labels_BT[:, first:][learned_BT], reduction="none")
        weights_N = inputs["weights"][:, None].expand_as(learned_BT)[learned_BT]
        loss = (losses_N * weights_N).sum() / weights_N.sum()
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *args, **kwargs) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        health.check_loss(loss.item(), self.state.global_step + 1)
        return loss

    def floating_point_ops(self, inputs) -> int:
        """Not counted: walking all parameters at every step costs 2 % on a small model."""
        return 0

    def _send_telemetry(self) -> None:
        """Training tells nobody outside."""


class History(TrainerCallback):
    """Keeps the loss history and reports progress."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.points: list[dict[str, float]] = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not logs or "loss" not in logs:
            return
        health.check_gradient(logs["grad_norm"], state.global_step)
        point = {"loss": logs["loss"], "learning_rate": logs["learning_rate"], "gradient_norm": logs["grad_norm"]}
        self.points.append({"step": state.global_step, **point})

    def on_step_end(self, args, state, control, **kwargs):
        self.progress("train", state.global_step, state.max_steps)


def build(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: Batches,
    settings: SftSettings,
    scratch: Path,
    history: History,
) -> CompletionTrainer:
    """A trainer ready to run; ``scratch`` is where SFTTrainer would keep checkpoints (it is told to make none)."""
    steps = len(batches)
    on_gpu = torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(scratch),
        per_device_train_batch_size=settings.batch,
        max_steps=steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(_WARMUP * steps),
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=settings.seed,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        gradient_checkpointing=None,  # pyright: ignore[reportArgumentType]  # the old name, which TRL turns on
        activation_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        logging_strategy="steps",
        logging_steps=max(1, steps // _LOGGED),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = CompletionTrainer(batches, model=model, args=config, processing_class=tokenizer, callbacks=[history])
    trainer.remove_callback(PrinterCallback)
    return trainer
