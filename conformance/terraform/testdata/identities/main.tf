# Users, groups, roles and policies, in each way that the provider attaches them.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

provider "aws" {}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = var.changed ? ["ec2:Describe*", "vpc-lattice:Get*"] : ["ec2:Describe*"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = var.changed ? [data.aws_caller_identity.current.account_id, aws_iam_user.ann.arn] : [aws_iam_user.ann.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["story"]
    }
  }
}

resource "aws_iam_policy" "read" {
  name        = "read"
  path        = "/net/"
  description = "Reads networks."
  policy      = data.aws_iam_policy_document.read.json
  tags        = { team = var.changed ? "net" : "eng" }
}

resource "aws_iam_policy" "boundary" {
  name   = "boundary"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}

resource "aws_iam_user" "ann" {
  name                 = var.changed ? "anna" : "ann"
  path                 = "/eng/"
  permissions_boundary = aws_iam_policy.boundary.arn
  force_destroy        = true
  tags                 = { team = "net" }
}

resource "aws_iam_access_key" "ann" {
  user   = aws_iam_user.ann.name
  status = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_user_policy" "ann" {
  name   = "own"
  user   = aws_iam_user.ann.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_user_policy_attachment" "ann" {
  user       = aws_iam_user.ann.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_group" "net" {
  name = "net"
  path = var.changed ? "/all/" : "/"
}

resource "aws_iam_group_membership" "net" {
  name  = "members"
  group = aws_iam_group.net.name
  users = [aws_iam_user.ann.name]
}

resource "aws_iam_group_policy" "net" {
  name   = "own"
  group  = aws_iam_group.net.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_group_policy_attachment" "net" {
  group      = aws_iam_group.net.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_role" "reader" {
  name                  = "reader"
  description           = var.changed ? "Looks at networks." : "Reads networks."
  max_session_duration  = var.changed ? 7200 : 3600
  assume_role_policy    = data.aws_iam_policy_document.trust.json
  permissions_boundary  = var.changed ? null : aws_iam_policy.boundary.arn
  force_detach_policies = true
  tags                  = { team = "net" }
}

resource "aws_iam_role_policy" "reader" {
  name   = "own"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy_attachment" "reader" {
  role       = aws_iam_role.reader.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_role_policy_attachment" "aws" {
  role       = aws_iam_role.reader.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_account_alias" "alias" {
  account_alias = "account-${data.aws_caller_identity.current.account_id}"
}

data "aws_iam_role" "reader" {
  name = aws_iam_role.reader.name
}

data "aws_iam_policy" "read" {
  arn = aws_iam_policy.read.arn
}

data "aws_iam_group" "net" {
  group_name = aws_iam_group_membership.net.group
}

data "aws_iam_users" "all" {
  path_prefix = aws_iam_user.ann.path
}

data "aws_iam_principal_policy_simulation" "ann" {
  action_names      = ["ec2:DescribeVpcs", "ec2:CreateVpc"]
  policy_source_arn = aws_iam_user.ann.arn
  depends_on        = [aws_iam_user_policy.ann]
}

output "found" {
  value = {
    role    = data.aws_iam_role.reader.unique_id == aws_iam_role.reader.unique_id
    policy  = data.aws_iam_policy.read.policy_id == aws_iam_policy.read.policy_id
    members = [for u in data.aws_iam_group.net.users : u.user_name]
    users   = data.aws_iam_users.all.names
    allowed = [for r in data.aws_iam_principal_policy_simulation.ann.results : r.allowed]
  }
}
