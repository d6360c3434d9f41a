<?php

use Mtownsend\RemoveBg\Facades\RemoveBg;

RemoveBg::file($path)->save($saved);
removebg()->url($url)->save($saved);
