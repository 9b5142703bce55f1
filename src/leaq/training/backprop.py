"""The gradient of stacked multilayer perceptrons, written out by hand.

Autograd builds a graph a step, copies each transposed weight gradient and updates one tensor a parameter. For small
models that is most of the time. Here all trained weights are views of one flat buffer, their gradients views of
another, and every product writes its result where the optimiser reads it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from leaq.models.several import entry_weights, loss_gradient
from leaq.training.mlp import MLP


class Backprop:
    """Weights and gradients of m stacked perceptrons, and the backward pass between them.

    Attributes
    ----------
    params : every parameter by name, (m, ...); the trained ones are views of `flat`.
    flat : all trained weights in one tensor whose ``grad`` a call fills; what the optimiser is given.
    """

    def __init__(self, mlp: MLP, params: Mapping[str, Tensor]) -> None:
        self._mlp = mlp
        trained = [name for name, role in mlp.roles.items() if role != "scaler"]
        self.flat = torch.cat([params[name].flatten() for name in trained])
        self.flat.grad = torch.zeros_like(self.flat)
        self.params = dict(params)
        self._grads: dict[str, Tensor] = {}
        start = 0
        for name in trained:
            part = slice(start, start + params[name].numel())
            self.params[name] = self.flat[part].view_as(params[name])
            self._grads[name] = self.flat.grad[part].view_as(params[name])
            start = part.stop

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> None:
        """Fill the gradient of the summed weighted losses.

        Parameters
        ----------
        inputs : (m, b, d) standardised records of each model; left as they are.
        targets : (m, b) class codes, or targets standardised by each model's own scaler; (m, b, t) of several.
        weights : (m, b) what each record's loss counts; a model's weights sum to 1.
        """
        layers = self._forward(inputs)  # inputs of each layer (m, b, width), then the outputs (m, b, k)
        delta = self._loss_gradient(layers.pop(), targets, weights)
        for i in reversed(range(self._mlp.depth)):
            torch.bmm(delta.transpose(1, 2), layers[i], out=self._grads[f"layers.{i}.weight"])
            torch.sum(delta, 1, out=self._grads[f"layers.{i}.bias"])
            if i > 0:
                delta = torch.bmm(delta, self.params[f"layers.{i}.weight"])
                delta *= layers[i].sign_()  # 0 or 1: what ReLU let through

    def _forward(self, inputs: Tensor) -> list[Tensor]:
        layers = [inputs]
        for i in range(self._mlp.depth):
            weight, bias = self.params[f"layers.{i}.weight"], self.params[f"layers.{i}.bias"]
            if i > 0:
                layers[-1].relu_()
            layers.append(torch.baddbmm(bias.unsqueeze(1), layers[-1], weight.transpose(1, 2)))
        return layers

    def _loss_gradient(self, outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the derivative of the weighted losses by the outputs, (m, b, k)."""
        if self._mlp.layout is not None:
            return loss_gradient(outputs, targets, entry_weights(targets, weights), self._mlp.layout)
        if self._mlp.task == "classification":
            delta = torch.softmax(outputs, dim=-1)
            delta.scatter_add_(-1, targets.unsqueeze(-1), delta.new_full((*targets.shape, 1), -1.0))
        else:
            delta = 2 * (outputs - targets.unsqueeze(-1))
        return delta.mul_(weights.unsqueeze(-1))
