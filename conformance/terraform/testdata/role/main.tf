# A vendor's role, which a partner assumes to make a network in the vendor's account.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "vendor" {
  description = "Account and key of the vendor."
  type        = object({ account = string, id = string, secret = string })
  sensitive   = true
}

# The partner, by the environment.
data "aws_caller_identity" "partner" {}

provider "aws" {
  alias      = "vendor"
  access_key = var.vendor.id
  secret_key = var.vendor.secret
}

provider "aws" {
  alias = "assumed"

  assume_role {
    role_arn     = "arn:aws:iam::${nonsensitive(var.vendor.account)}:role/partners/operator"
    session_name = "terraform"
    external_id  = "story"
    duration     = "15m"
    tags         = { team = "net" }
    policy       = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["ec2:*", "sts:*"], Resource = "*" }] })
  }
}

resource "aws_iam_role" "operator" {
  provider = aws.vendor

  name = "operator"
  path = "/partners/"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = data.aws_caller_identity.partner.account_id }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = { StringEquals = { "sts:ExternalId" = "story" } }
    }]
  })
}

resource "aws_iam_role_policy" "networks" {
  provider = aws.vendor

  name = "networks"
  role = aws_iam_role.operator.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "ec2:*", Resource = "*", Condition = { StringEquals = { "aws:PrincipalTag/team" = "net" } } }]
  })
}

data "aws_caller_identity" "assumed" {
  provider   = aws.assumed
  depends_on = [aws_iam_role_policy.networks]
}

resource "aws_vpc" "theirs" {
  provider   = aws.assumed
  depends_on = [aws_iam_role_policy.networks]

  cidr_block = "10.0.0.0/16"
  tags       = { Name = "made by a partner" }
}

output "made" {
  value = { owner = aws_vpc.theirs.owner_id, by = data.aws_caller_identity.assumed.arn }
}
