# A resource of one account that another one accepts and makes an endpoint for.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "consumer" {
  description = "The key of the account that the resource is shared with, and the account."
  type        = object({ id = string, secret = string, account = string })
}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

# The provider of the resource: the account whose key the environment has.
provider "aws" {}

provider "aws" {
  alias      = "consumer"
  access_key = var.consumer.id
  secret_key = var.consumer.secret
}

resource "aws_vpc" "provider" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "provider" {
  vpc_id            = aws_vpc.provider.id
  availability_zone = "us-east-1a"
  cidr_block        = "10.0.1.0/24"
}

resource "aws_vpclattice_resource_gateway" "this" {
  name       = "sharing"
  vpc_id     = aws_vpc.provider.id
  subnet_ids = [aws_subnet.provider.id]
}

resource "aws_vpclattice_resource_configuration" "this" {
  name                        = "database"
  port_ranges                 = ["5432"]
  protocol                    = "TCP"
  resource_gateway_identifier = aws_vpclattice_resource_gateway.this.id

  resource_configuration_definition {
    ip_resource {
      ip_address = "10.0.200.10"
    }
  }
}

resource "aws_ram_resource_share" "this" {
  name                      = var.changed ? "all databases" : "databases"
  allow_external_principals = true
  tags                      = { Name = var.changed ? "all" : "some" }
}

resource "aws_ram_resource_association" "this" {
  resource_arn       = aws_vpclattice_resource_configuration.this.arn
  resource_share_arn = aws_ram_resource_share.this.arn
}

resource "aws_ram_principal_association" "this" {
  principal          = var.consumer.account
  resource_share_arn = aws_ram_resource_share.this.arn
  depends_on         = [aws_ram_resource_association.this]
}

resource "aws_ram_resource_share_accepter" "this" {
  provider   = aws.consumer
  share_arn  = aws_ram_principal_association.this.resource_share_arn
  depends_on = [aws_ram_principal_association.this]
}

resource "aws_vpc" "consumer" {
  provider   = aws.consumer
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "consumer" {
  provider          = aws.consumer
  vpc_id            = aws_vpc.consumer.id
  availability_zone = "us-east-1a"
  cidr_block        = "10.0.1.0/24"
}

resource "aws_vpc_endpoint" "this" {
  provider                   = aws.consumer
  vpc_id                     = aws_vpc.consumer.id
  vpc_endpoint_type          = "Resource"
  resource_configuration_arn = aws_vpclattice_resource_configuration.this.arn
  subnet_ids                 = [aws_subnet.consumer.id]
  depends_on                 = [aws_ram_resource_share_accepter.this]
}

output "sharing" {
  value = {
    resources = aws_ram_resource_share_accepter.this.resources
    shared    = [aws_vpclattice_resource_configuration.this.arn]
    status    = aws_ram_resource_share_accepter.this.status
    endpoint  = aws_vpc_endpoint.this.state
  }
}
