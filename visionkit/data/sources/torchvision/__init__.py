"""MNIST, Fashion-MNIST and CIFAR by torchvision."""
