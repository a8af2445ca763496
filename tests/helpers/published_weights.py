"""Stand-ins for the weights that torchvision publishes."""

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights


class PublishedWeights:
    """The folder where torch keeps published weights, to be filled with stand-ins that are random."""

    def __init__(self, folder):
        self.folder = folder

    def file(self, model, entry="DEFAULT"):
        """Where the published file of a torchvision model belongs."""
        return self.folder / getattr(get_model_weights(model), entry).url.rpartition("/")[2]

    def network(self, model, **arguments):
        """A torchvision network whose norms do something, and its weights under the published name."""
        torch.manual_seed(0)
        net = get_model(model, weights=None, **arguments)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.8, 1.2)
                nn.init.uniform_(module.bias, -0.2, 0.2)
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
                nn.init.uniform_(module.running_var, 0.8, 1.2)
        torch.save(net.state_dict(), self.file(model))
        return net.eval()
